namespace MultiAgent.Hosting.Idempotency;

/// <summary>
/// Writes through to a stream and keeps a copy up to a maximum, above which the copy is given up. A client that has left
/// does not disturb the copy.
/// </summary>
internal sealed class TeeStream(Stream inner, int maxCopy) : Stream
{
    /// <summary>What was written; null when it was too much to keep.</summary>
    public MemoryStream? Copy { get; private set; } = new();

    public override bool CanRead => false;
    public override bool CanSeek => false;
    public override bool CanWrite => true;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override void Write(byte[] buffer, int offset, int count)
    {
        Keep(buffer.AsSpan(offset, count));
        inner.Write(buffer, offset, count);
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Keep(buffer.Span);
        return WriteInnerAsync(buffer, cancellationToken);
    }

    public override void Flush() => inner.Flush();
    public override async Task FlushAsync(CancellationToken cancellationToken)
    {
        try
        {
            await inner.FlushAsync(cancellationToken);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // Nobody reads any more; the copy is whole.
        }
    }
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();

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
