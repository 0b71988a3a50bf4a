using System.Buffers;
using System.Buffers.Text;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;

namespace MultiAgent.Bench.FakeProvider;

/// <summary>
/// Answers chat completions without pace straight on the connection, before the server's HTTP: a head and a body that were encoded at
/// start. Load, provider and gateway share the cores, so that every microsecond spent here is taken from the gateway under test.
/// Whatever else comes goes on to the server, with all that was read.
/// </summary>
internal sealed class FastLane(ConnectionDelegate next, Provider provider)
{
    public async Task HandleAsync(ConnectionContext connection)
    {
        var (input, output) = (connection.Transport.Input, connection.Transport.Output);
        while (true)
        {
            var read = await input.ReadAsync();
            var buffer = read.Buffer;
            if (TryReadRequest(buffer, out var body, out var end, out var foreign) && provider.AnswerFor(body) is { } answer)
            {
                input.AdvanceTo(end);
                await output.WriteAsync(answer);
                continue;
            }
            if (foreign || !body.IsEmpty)
            {
                input.AdvanceTo(buffer.Start);
                await next(connection);
                return;
            }
            input.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted) return;
        }
    }

    /// <summary>A whole chat completion request; <paramref name="foreign"/> when it is none, or not one with a Content-Length.</summary>
    private static bool TryReadRequest(in ReadOnlySequence<byte> buffer, out ReadOnlySequence<byte> body, out SequencePosition end, out bool foreign)
    {
        (body, end, foreign) = (default, default, false);
        var reader = new SequenceReader<byte>(buffer);
        if (!reader.TryReadTo(out ReadOnlySpan<byte> head, "\r\n\r\n"u8)) return false;
        var length = -1;
        var at = head.IndexOf("ontent-Length: "u8);
        if (at < 0) at = head.IndexOf("ontent-length: "u8);
        if (!head.StartsWith("POST /v1/chat/completions "u8) || at < 0 || !Utf8Parser.TryParse(head[(at + 15)..], out length, out _) || length <= 0)
        {
            foreign = true;
            return false;
        }
        if (reader.Remaining < length) return false;
        body = reader.UnreadSequence.Slice(0, length);
        end = body.End;
        return true;
    }
}
