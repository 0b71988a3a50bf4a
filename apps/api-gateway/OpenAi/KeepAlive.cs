using System.Buffers;
using System.Collections.Concurrent;
using System.IO.Pipelines;

namespace MultiAgent.Gateway.OpenAi;

/// <summary>
/// Sends a comment on streams that have been silent, so that proxies do not cut them while a model thinks. One clock for
/// all streams: a timer per stream would cost more than the chunks it waits for.
/// </summary>
internal sealed class KeepAlive : IDisposable
{
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(12);

    private readonly ConcurrentDictionary<Stream, byte> _streams = new();
    private readonly TimeProvider _time;
    private readonly ITimer _clock;

    public KeepAlive(TimeProvider time)
    {
        _time = time;
        _clock = time.CreateTimer(static state => ((KeepAlive)state!).Sweep(), this, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
    }

    public Stream Add(PipeWriter output)
    {
        var stream = new Stream(output, _time);
        _streams.TryAdd(stream, 0);
        return stream;
    }

    /// <summary>Call when the stream has ended; afterwards nothing is written to it any more.</summary>
    public void Remove(Stream stream)
    {
        _streams.TryRemove(stream, out _);
        stream.Close();
    }

    public void Dispose() => _clock.Dispose();

    private void Sweep()
    {
        long now = _time.GetTimestamp();
        foreach (Stream stream in _streams.Keys) stream.PingIfSilent(now, Silence);
    }

    /// <summary>A stream's writer, used by the relay and by the clock, one at a time.</summary>
    internal sealed class Stream(PipeWriter output, TimeProvider time)
    {
        private const int Idle = 0, Relaying = 1, Pinging = 2, Closed = 3;

        private int _state;
        private long _lastWrite = time.GetTimestamp();

        /// <summary>Takes the writer; waits the moment that a ping takes.</summary>
        public void Enter()
        {
            if (Interlocked.CompareExchange(ref _state, Relaying, Idle) is Idle or Relaying) return;
            var spin = new SpinWait();
            while (Interlocked.CompareExchange(ref _state, Relaying, Idle) == Pinging) spin.SpinOnce();
        }

        public void Exit()
        {
            Volatile.Write(ref _lastWrite, time.GetTimestamp());
            Interlocked.CompareExchange(ref _state, Idle, Relaying);
        }

        public void Close()
        {
            var spin = new SpinWait();
            while (Interlocked.CompareExchange(ref _state, Closed, Idle) is not (Idle or Closed)
                && Interlocked.CompareExchange(ref _state, Closed, Relaying) is not (Relaying or Closed)) spin.SpinOnce();
        }

        public void PingIfSilent(long now, TimeSpan silence)
        {
            if (time.GetElapsedTime(Volatile.Read(ref _lastWrite), now) < silence) return;
            if (Interlocked.CompareExchange(ref _state, Pinging, Idle) != Idle) return;
            _ = PingAsync();
        }

        private async Task PingAsync()
        {
            try
            {
                output.Write(": ping\n\n"u8);
                await output.FlushAsync();
            }
            catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
            {
                // The client is gone; the relay notices by itself.
            }
            finally
            {
                Volatile.Write(ref _lastWrite, time.GetTimestamp());
                Interlocked.CompareExchange(ref _state, Idle, Pinging);
            }
        }
    }
}
