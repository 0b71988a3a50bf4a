using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;

namespace MultiAgent.Gateway.OpenAi;

/// <summary>
/// A whole request body in memory. Where the server has it in one piece it is used in place; a larger one is copied
/// together once. Dispose after the last use.
/// </summary>
internal struct RequestBytes : IDisposable
{
    private readonly PipeReader _reader;
    private readonly SequencePosition _end;
    private byte[]? _rented;

    private RequestBytes(PipeReader reader, SequencePosition end, ReadOnlyMemory<byte> memory, byte[]? rented)
    {
        (_reader, _end, Memory, _rented) = (reader, end, memory, rented);
    }

    public ReadOnlyMemory<byte> Memory { get; }

    /// <param name="request">The request.</param>
    /// <param name="limit">How long the body may take to arrive.</param>
    /// <param name="cancellationToken">Fires when the client leaves.</param>
    /// <exception cref="BadHttpRequestException">408: it took longer.</exception>
    public static async ValueTask<RequestBytes> ReadAsync(HttpRequest request, TimeSpan limit, CancellationToken cancellationToken)
    {
        PipeReader reader = request.BodyReader;
        CancellationTokenSource? timer = null;
        while (true)
        {
            ReadResult read;
            try
            {
                read = await reader.ReadAsync(timer?.Token ?? cancellationToken);
            }
            catch (OperationCanceledException) when (timer is { IsCancellationRequested: true } && !cancellationToken.IsCancellationRequested)
            {
                timer.Dispose();
                throw new BadHttpRequestException("The body arrived too slowly.", StatusCodes.Status408RequestTimeout);
            }
            ReadOnlySequence<byte> buffer = read.Buffer;
            // Content-Length tells that all is here before the reader does.
            if (!read.IsCompleted && buffer.Length != request.ContentLength)
            {
                // Nearly every body is here at once and needs no timer.
                if (timer is null)
                {
                    timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                    timer.CancelAfter(limit);
                }
                reader.AdvanceTo(buffer.Start, buffer.End);
                continue;
            }
            timer?.Dispose();
            if (buffer.IsSingleSegment) return new RequestBytes(reader, buffer.End, buffer.First, null);
            byte[] rented = ArrayPool<byte>.Shared.Rent((int)buffer.Length);
            buffer.CopyTo(rented);
            return new RequestBytes(reader, buffer.End, rented.AsMemory(0, (int)buffer.Length), rented);
        }
    }

    public void Dispose()
    {
        _reader.AdvanceTo(_end);
        if (_rented is null) return;
        ArrayPool<byte>.Shared.Return(_rented);
        _rented = null;
    }
}
