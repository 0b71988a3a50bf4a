using System.Collections.Concurrent;
using System.Runtime.CompilerServices;

namespace MultiAgent.Models.Upstream;

/// <summary>
/// HTTP/1.1 (RFC 9112) to providers: posts a body, reads the response's head, and hands out the body as it arrives. Does
/// only what a model call needs, and so costs about half of a general client: one buffer per exchange, one write for head and
/// body, and time limits by one shared clock instead of a timer and a linked token source per request.
/// </summary>
public sealed class HttpTransport : IUpstreamTransport, IDisposable
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(50);

    private readonly ConcurrentDictionary<(string Host, int Port, bool Tls), ConnectionPool> _pools = new();
    private readonly TimeProvider _time;
    private readonly ITimer _clock;

    public HttpTransport(TimeProvider time)
    {
        _time = time;
        _clock = time.CreateTimer(static state => ((HttpTransport)state!).Sweep(), this, Tick, Tick);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<UpstreamResponse> SendAsync(UpstreamTarget target, RequestBody body, UpstreamTimeouts timeouts, CancellationToken cancellationToken)
    {
        ConnectionPool pool = Pool(target);
        for (bool idle = true; ; idle = false)
        {
            UpstreamConnection? connection = idle ? pool.TakeIdle() : null;
            bool reused = connection is not null;
            connection ??= await pool.ConnectAsync(timeouts.Connect, cancellationToken);
            try
            {
                return await connection.ExchangeAsync(target, body, timeouts, cancellationToken);
            }
            catch (UpstreamException e) when (reused && e.Failure == UpstreamFailure.ConnectionLost && !connection.ReceivedAnything && !cancellationToken.IsCancellationRequested)
            {
                // The provider closed an idle connection just as it was taken, most likely without having seen the request. Once more
                // on a new connection; if that breaks too, it is the dispatcher's to decide.
            }
        }
    }

    public void Dispose()
    {
        _clock.Dispose();
        foreach (ConnectionPool pool in _pools.Values) pool.Dispose();
    }

    private ConnectionPool Pool(UpstreamTarget target)
    {
        if (target.Pool is ConnectionPool known && known.Owner == this) return known;
        ConnectionPool pool = _pools.GetOrAdd((target.EndPoint.Host, target.EndPoint.Port, target.UseTls),
            static (_, state) => new ConnectionPool(state.Item1, state.target.EndPoint, state.target.UseTls, state.Item1._time), (this, target));
        target.Pool = pool;
        return pool;
    }

    private void Sweep()
    {
        foreach (ConnectionPool pool in _pools.Values) pool.Sweep();
    }
}
