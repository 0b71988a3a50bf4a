using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace MultiAgent.Models.Upstream;

/// <summary>
/// Connections to one endpoint. Idle ones are taken last in, first out, so that the surplus of a busy hour grows old and
/// is closed. Their number is bounded by the requests in progress, which the host bounds.
/// </summary>
internal sealed class ConnectionPool(HttpTransport owner, DnsEndPoint endPoint, bool useTls, TimeProvider time) : IDisposable
{
    // Servers commonly close after 60 s or more; being first avoids the race with their close.
    private static readonly TimeSpan MaxIdle = TimeSpan.FromSeconds(45);

    // A name may move to other addresses: no connection outlives this.
    private static readonly TimeSpan MaxAge = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan TrustedIdle = TimeSpan.FromMilliseconds(500);

    private readonly Lock _lock = new();
    private readonly List<UpstreamConnection> _idle = [];
    private readonly ConcurrentDictionary<UpstreamConnection, byte> _all = new();
    private bool _disposed;

    public HttpTransport Owner => owner;

    public TimeProvider Time => time;

    public UpstreamConnection? TakeIdle()
    {
        while (true)
        {
            UpstreamConnection connection;
            lock (_lock)
            {
                if (_idle.Count == 0) return null;
                connection = _idle[^1];
                _idle.RemoveAt(_idle.Count - 1);
            }
            // Between two requests of a busy moment nobody closes: asking the system each time costs more than a rare second try.
            if (connection.IsUsable(time.GetElapsedTime(connection.IdleSince) > TrustedIdle)) return connection;
            connection.Close();
        }
    }

    public void Return(UpstreamConnection connection)
    {
        connection.IdleSince = time.GetTimestamp();
        if (time.GetElapsedTime(connection.Opened) < MaxAge)
        {
            lock (_lock)
            {
                if (!_disposed)
                {
                    _idle.Add(connection);
                    return;
                }
            }
        }
        connection.Close();
    }

    public void Forget(UpstreamConnection connection) => _all.TryRemove(connection, out _);

    public async ValueTask<UpstreamConnection> ConnectAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(timeout);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(endPoint, limit.Token);
            Stream stream = new NetworkStream(socket, ownsSocket: true);
            if (useTls)
            {
                var tls = new SslStream(stream);
                await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
                {
                    TargetHost = endPoint.Host,
                    ApplicationProtocols = [SslApplicationProtocol.Http11],
                }, limit.Token);
                stream = tls;
            }
            var connection = new UpstreamConnection(this, socket, stream, time.GetTimestamp());
            _all.TryAdd(connection, 0);
            return connection;
        }
        catch (Exception e)
        {
            socket.Dispose();
            if (e is OperationCanceledException)
            {
                if (cancellationToken.IsCancellationRequested) throw new ConnectCanceledException(cancellationToken);
                throw new UpstreamException(UpstreamFailure.ConnectTimeout, $"No connection to {endPoint.Host}:{endPoint.Port} within {timeout.TotalSeconds:0.#} s.", e);
            }
            if (e is SocketException or IOException or System.Security.Authentication.AuthenticationException)
                throw new UpstreamException(UpstreamFailure.Connect, $"No connection to {endPoint.Host}:{endPoint.Port}: {e.Message}", e);
            throw;
        }
    }

    /// <summary>Ends exchanges whose time is up and closes what has been idle for long. Called by the transport's clock.</summary>
    public void Sweep()
    {
        long now = time.GetTimestamp();
        foreach (UpstreamConnection connection in _all.Keys) connection.CheckDeadline(now);
        List<UpstreamConnection>? old = null;
        lock (_lock)
        {
            // The oldest idle connections are at the bottom of the stack.
            int count = 0;
            while (count < _idle.Count && time.GetElapsedTime(_idle[count].IdleSince, now) > MaxIdle) count++;
            if (count > 0)
            {
                old = _idle.GetRange(0, count);
                _idle.RemoveRange(0, count);
            }
        }
        old?.ForEach(static c => c.Close());
    }

    public void Dispose()
    {
        lock (_lock) _disposed = true;
        foreach (UpstreamConnection connection in _all.Keys) connection.Close();
    }
}
