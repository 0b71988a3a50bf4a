using System.Buffers;

namespace MultiAgent.Models.Providers.Local;

/// <summary>Writes a finished answer as a stream, one word to a chunk.</summary>
internal static class LocalStream
{
    private const int ArgumentPiece = 24;

    public static ReadOnlyMemory<byte> Write(string id, long created, string model, ChatChoice choice, int choices, TokenUsage usage, bool includeUsage)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using var chunks = new ChatChunkWriter(buffer, id, created, model, includeUsage);
        for (int i = 0; i < choices; i++)
        {
            if (choice.Content is { } text) WriteText(chunks, i, text);
            else WriteCalls(chunks, i, choice.ToolCalls);
            chunks.Finish(i, choice.FinishReason);
        }
        chunks.Done(usage);
        return buffer.WrittenMemory;
    }

    private static void WriteText(ChatChunkWriter chunks, int choice, string text)
    {
        chunks.Role(choice);
        int start = 0;
        for (int i = 1; i <= text.Length; i++)
        {
            // A word with the space before it, as tokens are.
            bool ends = i == text.Length || (char.IsWhiteSpace(text[i]) && !char.IsWhiteSpace(text[i - 1]));
            if (!ends) continue;
            chunks.Content(choice, text.AsSpan(start, i - start));
            start = i;
        }
    }

    private static void WriteCalls(ChatChunkWriter chunks, int choice, IReadOnlyList<ToolCall> calls)
    {
        for (int index = 0; index < calls.Count; index++)
        {
            ToolCall call = calls[index];
            chunks.ToolCall(choice, index, call.Id, call.Name, withRole: index == 0);
            for (int start = 0; start < call.Arguments.Length;)
            {
                int length = Math.Min(ArgumentPiece, call.Arguments.Length - start);
                if (start + length < call.Arguments.Length && char.IsHighSurrogate(call.Arguments[start + length - 1])) length++;
                chunks.ToolArguments(choice, index, call.Arguments.AsSpan(start, length));
                start += length;
            }
        }
    }
}
