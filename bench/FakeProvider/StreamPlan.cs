using System.Text;

namespace MultiAgent.Bench.FakeProvider;

/// <summary>One streamed answer, encoded once: what is written at each beat, with and without the usage chunk.</summary>
internal sealed class StreamPlan
{
    private const string Head =
        """{"id":"chatcmpl-bench0123456789","object":"chat.completion.chunk","created":1700000000,"model":"bench-model",""";

    private static readonly string[] Words =
        ["The ", "quick ", "answer ", "is ", "that ", "a ", "gateway ", "should ", "cost ", "very ", "little, "];

    private StreamPlan(int chunks, TimeSpan pace, bool includeUsage)
    {
        Pace = pace;
        Beats = new byte[chunks][];
        var usageField = includeUsage ? ",\"usage\":null" : "";
        for (var i = 0; i < chunks; i++)
        {
            var beat = new StringBuilder();
            if (i == 0)
                Append(beat, """{"role":"assistant","content":"","refusal":null}""", "null", usageField);
            Append(beat, $$"""{"content":"{{Words[i % Words.Length]}}"}""", "null", usageField);
            if (i == chunks - 1)
                AppendEnd(beat, chunks, includeUsage, usageField);
            Beats[i] = Encoding.UTF8.GetBytes(beat.ToString());
        }
        Whole = [.. Beats.SelectMany(beat => beat)];
        Answer =
        [
            .. Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n{Whole.Length:x}\r\n"),
            .. Whole,
            .. "\r\n0\r\n\r\n"u8,
        ];
    }

    public TimeSpan Pace { get; }

    /// <summary>What goes out at each beat of a paced stream; the last one carries the end of the stream.</summary>
    public byte[][] Beats { get; }

    /// <summary>All beats in one piece, for a stream without pace.</summary>
    public byte[] Whole { get; }

    /// <summary>Head and body on the wire, the body as one chunk, for a stream without pace.</summary>
    public byte[] Answer { get; }

    public static StreamPlan Create(int chunks, TimeSpan pace, bool includeUsage) => new(chunks, pace, includeUsage);

    private static void Append(StringBuilder beat, string delta, string finishReason, string usageField) =>
        beat.Append("data: ").Append(Head)
            .Append("\"choices\":[{\"index\":0,\"delta\":").Append(delta)
            .Append(",\"logprobs\":null,\"finish_reason\":").Append(finishReason).Append("}]")
            .Append(usageField).Append("}\n\n");

    private static void AppendEnd(StringBuilder beat, int chunks, bool includeUsage, string usageField)
    {
        Append(beat, "{}", "\"stop\"", usageField);
        if (includeUsage)
            beat.Append("data: ").Append(Head).Append("\"choices\":[],\"usage\":{\"prompt_tokens\":57,\"completion_tokens\":")
                .Append(chunks).Append(",\"total_tokens\":").Append(57 + chunks).Append("}}\n\n");
        beat.Append("data: [DONE]\n\n");
    }
}
