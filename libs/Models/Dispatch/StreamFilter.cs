using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using MultiAgent.Models.Upstream;
using MultiAgent.Models.Usage;

namespace MultiAgent.Models.Dispatch;

/// <summary>
/// Passes server-sent events on as whole events, reads the usage as it passes, and takes the usage chunk out where the
/// client did not ask for it. Events are not parsed: the bytes are searched for the few words that matter.
/// </summary>
internal sealed class StreamFilter(PipeReader inner, bool keepUsageChunk) : PipeReader
{
    private const int MaxEvent = 8 * 1024 * 1024;

    // What is kept of the text for counting tokens, should the provider report no usage; a long answer is scaled up from it.
    private const int MaxKept = 256 * 1024;

    private byte[]? _joined;        // a copy where the inner sequence has several segments
    private ReadOnlySequence<byte> _buffer;
    private int _scanned;           // bytes of the inner buffer that were searched: whole events
    private int _visible;           // of these, up to the next one to drop
    private int _dropLength;        // length of the event to drop after the visible ones
    private int _seen;              // visible bytes that the consumer examined and left
    private byte[]? _kept;
    private int _keptLength;

    /// <summary>What the provider reported last; null when nothing yet.</summary>
    public TokenUsage? Usage { get; private set; }

    /// <summary>The stream's <c>[DONE]</c> has passed.</summary>
    public bool Done { get; private set; }

    /// <summary>A choice has ended (<c>finish_reason</c>), which is as good as an end where a provider sends no <c>[DONE]</c>.</summary>
    public bool Finished { get; private set; }

    /// <summary>The provider sent an error event.</summary>
    public bool Failed { get; private set; }

    /// <summary>The body was read to its end.</summary>
    public bool Completed { get; private set; }

    /// <summary>Bytes of all events, kept or not.</summary>
    public long TotalBytes { get; private set; }

    /// <summary>The first events, for counting.</summary>
    public ReadOnlySpan<byte> Kept => _kept.AsSpan(0, _keptLength);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        while (true)
        {
            ReadResult result = await inner.ReadAsync(cancellationToken);
            if (Offer(result, out ReadResult offered)) return offered;
        }
    }

    public override bool TryRead(out ReadResult result)
    {
        while (inner.TryRead(out ReadResult read))
            if (Offer(read, out result)) return true;
        result = default;
        return false;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        int taken = (int)_buffer.Slice(0, consumed).Length;
        _seen = (int)_buffer.Slice(0, examined).Length - taken;
        _visible -= taken;
        _scanned -= taken;
        // Nothing is examined on behalf of the consumer: whether more is needed is decided in Offer.
        inner.AdvanceTo(consumed);
    }

    public override void CancelPendingRead() => inner.CancelPendingRead();

    public override void Complete(Exception? exception = null)
    {
        if (_kept is not null) ArrayPool<byte>.Shared.Return(_kept);
        _kept = null;
        _keptLength = 0;
        inner.Complete(exception);
    }

    // Returns false when the consumer would see nothing new; the inner reader then waits for more.
    private bool Offer(in ReadResult result, out ReadResult offered)
    {
        _buffer = result.Buffer;
        ReadOnlySpan<byte> bytes = Contiguous(_buffer);
        if (_visible == 0 && _dropLength > 0) return Drop(out offered);
        if (_visible == _scanned) Scan(bytes, result.IsCompleted);
        if (_visible == 0 && _dropLength > 0) return Drop(out offered);

        bool end = result.IsCompleted && _scanned == bytes.Length && _dropLength == 0;
        if (_visible > _seen || end || result.IsCanceled)
        {
            Completed |= end;
            _buffer = _buffer.Slice(0, _visible);
            offered = new ReadResult(_buffer, result.IsCanceled, end);
            return true;
        }
        if (bytes.Length > MaxEvent) throw new UpstreamException(UpstreamFailure.InvalidResponse, "An event of the provider's stream is too large.");
        inner.AdvanceTo(_buffer.Start, _buffer.End);
        offered = default;
        return false;
    }

    private bool Drop(out ReadResult offered)
    {
        inner.AdvanceTo(_buffer.GetPosition(_dropLength));
        _scanned -= _dropLength;
        _dropLength = 0;
        _visible = _scanned;
        offered = default;
        return false;
    }

    private void Scan(ReadOnlySpan<byte> bytes, bool last)
    {
        int end = last ? bytes.Length : EndOfLastEvent(bytes[_scanned..]) + _scanned;
        if (end <= _scanned) return;
        ReadOnlySpan<byte> events = bytes[_scanned..end];
        int from = _scanned;
        _scanned = end;
        _visible = end;

        // Looked for from the end, where they stand when a stream has come as a whole.
        if (!Done && events.LastIndexOf("[DONE]"u8) >= 0) Done = HasLine(events, "data: [DONE]"u8) || HasLine(events, "data:[DONE]"u8);
        if (!Finished) Finished = events.LastIndexOf("\"finish_reason\":\""u8) >= 0 || events.LastIndexOf("\"finish_reason\": \""u8) >= 0;
        if (!Failed && events.IndexOf("{\"error\""u8) >= 0) Failed = HasLine(events, "data: {\"error\""u8) || HasLine(events, "data:{\"error\""u8);
        if (UsageReader.TryFindLast(events, out TokenUsage usage, out int position))
        {
            Usage = usage;
            if (!keepUsageChunk) DropUsageChunk(events, from, position);
        }
        // What follows a dropped event is searched again later, so it is not counted now.
        events = events[..(_scanned - from)];
        TotalBytes += events.Length;
        // Tokens are counted only where the provider reports none.
        if (Usage is null) Keep(events);
    }

    private void DropUsageChunk(ReadOnlySpan<byte> events, int from, int position)
    {
        (int start, int length) = EventAround(events, position);
        ReadOnlySpan<byte> chunk = events.Slice(start, length);
        // Some providers put usage on chunks with content; those must reach the client.
        if (chunk.IndexOf("\"choices\":[]"u8) < 0 && chunk.IndexOf("\"choices\": []"u8) < 0) return;
        _visible = from + start;
        _dropLength = length;
        _scanned = _visible + length;
    }

    // At the beginning of a line: inside JSON a line break is escaped, so no content can look like this.
    private static bool HasLine(ReadOnlySpan<byte> events, ReadOnlySpan<byte> start)
    {
        while (events.LastIndexOf(start) is var at and >= 0)
        {
            if (at == 0 || events[at - 1] is (byte)'\n') return true;
            events = events[..at];
        }
        return false;
    }

    private static int EndOfLastEvent(ReadOnlySpan<byte> bytes)
    {
        if (bytes.EndsWith("\n\n"u8)) return bytes.Length;
        int lf = bytes.LastIndexOf("\n\n"u8);
        int crlf = bytes.LastIndexOf("\r\n\r\n"u8);
        return Math.Max(lf < 0 ? 0 : lf + 2, crlf < 0 ? 0 : crlf + 4);
    }

    private static (int Start, int Length) EventAround(ReadOnlySpan<byte> events, int position)
    {
        int start = EndOfLastEvent(events[..position]);
        ReadOnlySpan<byte> rest = events[position..];
        int lf = rest.IndexOf("\n\n"u8), crlf = rest.IndexOf("\r\n\r\n"u8);
        int end = lf >= 0 && (crlf < 0 || lf < crlf) ? lf + 2 : crlf >= 0 ? crlf + 4 : rest.Length;
        return (start, position + end - start);
    }

    private void Keep(ReadOnlySpan<byte> events)
    {
        if (_keptLength >= MaxKept) return;
        int room = Math.Min(events.Length, MaxKept - _keptLength);
        if (_kept is null || _kept.Length < _keptLength + room)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(4096, (_keptLength + room) * 2));
            if (_kept is not null)
            {
                _kept.AsSpan(0, _keptLength).CopyTo(larger);
                ArrayPool<byte>.Shared.Return(_kept);
            }
            _kept = larger;
        }
        events[..room].CopyTo(_kept.AsSpan(_keptLength));
        _keptLength += room;
    }

    private ReadOnlySpan<byte> Contiguous(in ReadOnlySequence<byte> sequence)
    {
        if (sequence.IsSingleSegment) return sequence.FirstSpan;
        int length = checked((int)sequence.Length);
        if (_joined is null || _joined.Length < length) _joined = new byte[Math.Max(8192, length * 2)];
        sequence.CopyTo(_joined);
        return _joined.AsSpan(0, length);
    }
}
