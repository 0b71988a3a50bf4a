using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Models.Dispatch;

namespace MultiAgent.Orchestrator.Chat;

/// <summary>Reads a model's answer off the wire.</summary>
internal static class ModelReplyReader
{
    private const int MaxBodyBytes = 32 * 1024 * 1024;
    private const int MaxEventBytes = 4 * 1024 * 1024;

    /// <summary>Reads an answer to its end; <paramref name="onText"/> gets each piece of text as it comes in a stream.</summary>
    /// <exception cref="ModelException">The answer is an error, breaks off, or does not follow the dialect.</exception>
    public static async ValueTask<ModelReply> ReadAsync(ModelExchange exchange, ReadOnlySpanAction onText, CancellationToken cancellationToken)
    {
        var reply = new ModelReply();
        try
        {
            if (exchange.IsEventStream) await ReadStreamAsync(exchange.Body, reply, onText, cancellationToken);
            else await ReadBodyAsync(exchange.Body, reply, cancellationToken);
        }
        catch (JsonException e)
        {
            throw new ModelException(502, ErrorCodes.ProviderError, "The model's answer does not follow the protocol.", e);
        }
        if (reply.Error is { } error)
        {
            throw new ModelException(ClientStatus(exchange.StatusCode), error.Code ?? ErrorCodes.ProviderError, error.Message);
        }
        if (exchange.StatusCode >= 400) throw new ModelException(ClientStatus(exchange.StatusCode), ErrorCodes.ProviderError, $"The model's provider answered with status {exchange.StatusCode}.");
        if (reply.IsEmpty) throw new ModelException(502, ErrorCodes.ProviderError, "The model's answer is empty.");
        return reply;
    }

    // What the provider thinks of the platform's credential or of a model's name says nothing about the client's request.
    private static int ClientStatus(int providerStatus) => providerStatus is 400 or 413 or 422 or 429 ? providerStatus : providerStatus >= 500 ? providerStatus : 502;

    private static async ValueTask ReadBodyAsync(PipeReader body, ModelReply reply, CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadResult result = await body.ReadAsync(cancellationToken);
            if (!result.IsCompleted)
            {
                if (result.Buffer.Length > MaxBodyBytes) throw new JsonException("The answer is too long.");
                body.AdvanceTo(result.Buffer.Start, result.Buffer.End);
                continue;
            }
            if (result.Buffer.IsSingleSegment) reply.Add(result.Buffer.FirstSpan);
            else reply.Add(result.Buffer.ToArray());
            body.AdvanceTo(result.Buffer.End);
            return;
        }
    }

    private static async ValueTask ReadStreamAsync(PipeReader body, ModelReply reply, ReadOnlySpanAction onText, CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadResult result = await body.ReadAsync(cancellationToken);
            ReadOnlySequence<byte> buffer = result.Buffer;
            while (buffer.PositionOf((byte)'\n') is { } newline)
            {
                ReadOnlySequence<byte> line = buffer.Slice(0, newline);
                buffer = buffer.Slice(buffer.GetPosition(1, newline));
                TakeLine(line, reply, onText);
            }
            if (buffer.Length > MaxEventBytes) throw new JsonException("An event of the stream is too large.");
            body.AdvanceTo(buffer.Start, buffer.End);
            if (!result.IsCompleted) continue;
            if (reply.FinishReason is null && reply.Error is null)
                throw new ModelException(502, ErrorCodes.ProviderStreamInterrupted, "The model's answer broke off.");
            return;
        }
    }

    private static void TakeLine(in ReadOnlySequence<byte> sequence, ModelReply reply, ReadOnlySpanAction onText)
    {
        ReadOnlySpan<byte> line = sequence.IsSingleSegment ? sequence.FirstSpan : sequence.ToArray();
        if (line is [.., (byte)'\r']) line = line[..^1];
        if (!line.StartsWith("data:"u8)) return;
        line = line[5..].TrimStart((byte)' ');
        if (line.IsEmpty || line.SequenceEqual("[DONE]"u8)) return;
        ReadOnlySpan<byte> text = reply.Add(line);
        if (!text.IsEmpty) onText(text);
    }
}

/// <summary>Takes a piece of UTF-8 text that is valid during the call.</summary>
internal delegate void ReadOnlySpanAction(ReadOnlySpan<byte> text);
