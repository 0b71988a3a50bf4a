using System.Buffers;
using System.Net;

namespace MultiAgent.Bench.Gateway;

/// <summary>Reads an answer to its end and tells whether it was whole: 200, not empty, and a stream ends with [DONE].</summary>
internal sealed class AnswerReader(HttpResponseMessage response)
{
    private static ReadOnlySpan<byte> End => "[DONE]\n\n"u8;

    private readonly byte[] _tail = new byte[8];
    private long _length;

    public bool IsComplete =>
        response.StatusCode == HttpStatusCode.OK
        && _length > 0
        && (response.Content.Headers.ContentType?.MediaType != "text/event-stream" || End.SequenceEqual(_tail));

    public async Task ReadAsync(Stream body, Action onFirstByte, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(4096);
        try
        {
            int read;
            while ((read = await body.ReadAsync(buffer, cancellationToken)) > 0)
            {
                if (_length == 0)
                    onFirstByte();
                _length += read;
                KeepTail(buffer.AsSpan(0, read));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void KeepTail(ReadOnlySpan<byte> data)
    {
        if (data.Length < _tail.Length)
            Array.Copy(_tail, data.Length, _tail, 0, _tail.Length - data.Length);
        var kept = data[^Math.Min(data.Length, _tail.Length)..];
        kept.CopyTo(_tail.AsSpan(_tail.Length - kept.Length));
    }
}
