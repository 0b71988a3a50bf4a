using System.Buffers;
using System.Buffers.Text;
using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace MultiAgent.Models.Upstream;

/// <summary>One connection, used by one exchange at a time.</summary>
internal sealed class UpstreamConnection(ConnectionPool pool, Socket socket, Stream stream, long opened)
{
    // Up to here head and body are copied together and leave in one packet train; beyond, the copy costs more than a call.
    private const int CopyLimit = 64 * 1024;

    private long _deadline = long.MaxValue;
    private long _end = long.MaxValue;
    private UpstreamFailure _deadlineFailure;
    private int _failure = -1;
    private int _closed;

    public long Opened => opened;

    public long IdleSince { get; set; }

    /// <summary>Whether any byte of the current response has come.</summary>
    public bool ReceivedAnything { get; private set; }

    /// <summary>False when the provider has closed an idle connection, or sent something unasked.</summary>
    public bool IsUsable(bool ask) => _closed == 0 && (!ask || !socket.Poll(0, SelectMode.SelectRead));

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<UpstreamResponse> ExchangeAsync(UpstreamTarget target, RequestBody body, UpstreamTimeouts timeouts, CancellationToken cancellationToken)
    {
        ReceivedAnything = false;
        // Closing the socket is the one way to make a provider stop, and it wakes every pending read and write.
        CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(static state => ((UpstreamConnection)state!).Close(), this);
        try
        {
            _end = timeouts.Total == Timeout.InfiniteTimeSpan ? long.MaxValue : After(timeouts.Total);
            Arm(timeouts.FirstByte, UpstreamFailure.FirstByteTimeout);
            await SendAsync(target, body);
            var response = new Http11Response(this, timeouts, registration, cancellationToken);
            try
            {
                int read;
                do
                {
                    read = await ReceiveAsync(response.HeadSpace);
                    ReceivedAnything |= read > 0;
                }
                while (!response.AcceptHead(read));
                return response;
            }
            catch
            {
                response.Release();
                throw;
            }
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            await registration.DisposeAsync();
            Close();
            cancellationToken.ThrowIfCancellationRequested();
            throw Translate(e);
        }
    }

    /// <summary>Sets the time by which the next thing must happen.</summary>
    public void Arm(TimeSpan limit, UpstreamFailure failure)
    {
        long deadline = limit == Timeout.InfiniteTimeSpan ? long.MaxValue : After(limit);
        _deadlineFailure = deadline > _end ? UpstreamFailure.TotalTimeout : failure;
        Volatile.Write(ref _deadline, Math.Min(deadline, _end));
    }

    private long After(TimeSpan limit) => pool.Time.GetTimestamp() + (long)(limit.TotalSeconds * pool.Time.TimestampFrequency);

    public void Disarm() => Volatile.Write(ref _deadline, long.MaxValue);

    public void CheckDeadline(long now)
    {
        if (now < Volatile.Read(ref _deadline)) return;
        Interlocked.CompareExchange(ref _failure, (int)_deadlineFailure, -1);
        Close();
    }

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer) => stream.ReadAsync(buffer, CancellationToken.None);

    /// <summary>The exchange ended with the connection in a known state: it can serve the next one.</summary>
    public void Return()
    {
        Disarm();
        if (_closed == 0) pool.Return(this);
    }

    public void Close()
    {
        if (Interlocked.Exchange(ref _closed, 1) != 0) return;
        pool.Forget(this);
        // Not the stream's Dispose: TLS would wait to say goodbye.
        socket.Dispose();
    }

    /// <summary>Says what a broken read or write means, given why the connection was closed.</summary>
    public UpstreamException Translate(Exception e)
    {
        if (e is UpstreamException known) return known;
        int failure = Volatile.Read(ref _failure);
        return failure >= 0
            ? new UpstreamException((UpstreamFailure)failure, (UpstreamFailure)failure switch
            {
                UpstreamFailure.FirstByteTimeout => "The provider did not begin to answer in time.",
                UpstreamFailure.TotalTimeout => "The answer took longer than allowed.",
                UpstreamFailure.ChunkTimeout => "The provider fell silent in the middle of its answer.",
                _ => "A time limit passed.",
            }, e)
            : new UpstreamException(UpstreamFailure.ConnectionLost, "The connection to the provider broke.", e);
    }

    private async ValueTask SendAsync(UpstreamTarget target, RequestBody body)
    {
        byte[] head = target.Head;
        string? traceParent = Activity.Current is { IdFormat: ActivityIdFormat.W3C } activity ? activity.Id : null;
        int headLength = head.Length + 16 + 64 + 4;
        bool copyBody = body.Length <= CopyLimit;
        byte[] buffer = ArrayPool<byte>.Shared.Rent(headLength + (copyBody ? body.Length : 0));
        try
        {
            int length = WriteHead(buffer, head, body.Length, traceParent);
            if (copyBody)
            {
                body.First.Span.CopyTo(buffer.AsSpan(length));
                length += body.First.Length;
                body.Second.Span.CopyTo(buffer.AsSpan(length));
                length += body.Second.Length;
                body.Third.Span.CopyTo(buffer.AsSpan(length));
                length += body.Third.Length;
                await stream.WriteAsync(buffer.AsMemory(0, length));
            }
            else
            {
                await stream.WriteAsync(buffer.AsMemory(0, length));
                await stream.WriteAsync(body.First);
                if (!body.Second.IsEmpty) await stream.WriteAsync(body.Second);
                if (!body.Third.IsEmpty) await stream.WriteAsync(body.Third);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static int WriteHead(byte[] buffer, byte[] head, int bodyLength, string? traceParent)
    {
        head.CopyTo(buffer, 0);
        int length = head.Length;
        Utf8Formatter.TryFormat(bodyLength, buffer.AsSpan(length), out int digits);
        length += digits;
        if (traceParent is not null)
        {
            "\r\ntraceparent: "u8.CopyTo(buffer.AsSpan(length));
            length += 15;
            length += System.Text.Encoding.ASCII.GetBytes(traceParent, buffer.AsSpan(length));
        }
        "\r\n\r\n"u8.CopyTo(buffer.AsSpan(length));
        return length + 4;
    }
}
