using Microsoft.AspNetCore.Http;

namespace MultiAgent.Hosting.Idempotency;

/// <summary>
/// Keeps a copy of an answer, up to a maximum above which the copy is given up. A short answer of JSON is held back until <see cref="LetGoAsync"/>, so that
/// the client has it no sooner than it is kept; a stream, or what grows long, goes through as it is written. A client that has left does not disturb the copy.
/// </summary>
internal sealed class AnswerStream(HttpResponse response, Stream inner, int maxHeld, int maxCopy) : Stream
{
    // Decided by the content type, which is known once something is written or flushed.
    private bool? _holds;

    /// <summary>What was written; null when it was too much to keep.</summary>
    public MemoryStream? Copy { get; private set; } = new();

    // While all of it is here it can be taken back, for an error in its place: HttpResponse.Clear does so where a stream can seek.
    public override bool CanSeek => _holds != false;
    public override bool CanRead => false;
    public override bool CanWrite => true;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    /// <summary>Sends what is held back.</summary>
    public async ValueTask LetGoAsync(CancellationToken cancellationToken)
    {
        bool held = _holds == true;
        _holds = false;
        if (held && Copy is { Length: > 0 } copy) await WriteInnerAsync(copy.GetBuffer().AsMemory(0, (int)copy.Length), cancellationToken);
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (Holds() && Copy!.Length + buffer.Length > maxHeld) await LetGoAsync(cancellationToken);
        Keep(buffer.Span);
        if (!Holds()) await WriteInnerAsync(buffer, cancellationToken);
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    // Kestrel takes no synchronous writes, so nobody makes any.
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("Use WriteAsync.");

    public override void Flush() => throw new NotSupportedException("Use FlushAsync.");

    public override async Task FlushAsync(CancellationToken cancellationToken)
    {
        if (Holds()) return;
        try
        {
            await inner.FlushAsync(cancellationToken);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // Nobody reads any more; the copy is whole.
        }
    }

    public override void SetLength(long value)
    {
        if (value != 0 || _holds == false) throw new NotSupportedException();
        Copy = new();
        _holds = null;
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    private bool Holds() => _holds ??= response.ContentType is { } type
        && (type.StartsWith("application/json", StringComparison.OrdinalIgnoreCase) || type.StartsWith("application/problem+json", StringComparison.OrdinalIgnoreCase));

    private async ValueTask WriteInnerAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            await inner.WriteAsync(buffer, cancellationToken);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // Nobody reads any more; the copy is whole.
        }
    }

    private void Keep(ReadOnlySpan<byte> bytes)
    {
        if (Copy is null) return;
        if (Copy.Length + bytes.Length > maxCopy) Copy = null;
        else Copy.Write(bytes);
    }
}
