using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>
/// Writes the typed events of a response's stream and numbers them from 0 without gaps. A text is cut into deltas at places that follow from the text alone,
/// so that an event has the same number from every replica and after every reconnect; those that the reader has seen are counted and not written.
/// </summary>
internal sealed class ResponseEvents(ResponseRequest request, RunRecord run, long startingAfter)
{
    // Longest delta, bytes: scripts without spaces flow too.
    private const int MaxDelta = 24;

    private readonly ArrayBufferWriter<byte> _tail = new(64);
    private long _next;

    /// <summary>Where events go; set before each use.</summary>
    public IBufferWriter<byte> Output { get; set; } = null!;

    public void Created(bool background)
    {
        string status = background ? "queued" : "in_progress";
        Write("response.created", (this, status), static (json, s) => s.Item1.WriteResponse(json, s.status));
        if (background) Write("response.queued", (this, status), static (json, s) => s.Item1.WriteResponse(json, s.status));
    }

    public void InProgress() => Write("response.in_progress", this, static (json, s) => s.WriteResponse(json, "in_progress"));

    public void Opened(ResponseItem item)
    {
        Added(item);
        Write("response.content_part.added", item, static (json, item) =>
        {
            Place(json, item);
            json.WriteNumber("content_index"u8, 0);
            json.WritePropertyName("part"u8);
            ResponseItem.WritePart(json, default);
        });
    }

    public void Text(ResponseItem item, ReadOnlySpan<byte> text)
    {
        _tail.Write(text);
        ReadOnlySpan<byte> all = _tail.WrittenSpan;
        int start = 0;
        for (int i = 1; i < all.Length; i++)
        {
            bool character = (all[i] & 0xC0) != 0x80;
            if (!character || !((IsSpace(all[i]) && !IsSpace(all[i - 1])) || i - start >= MaxDelta)) continue;
            Delta(item, all[start..i]);
            start = i;
        }
        byte[] left = all[start..].ToArray();
        _tail.ResetWrittenCount();
        _tail.Write(left);
    }

    public void Closed(ResponseItem item)
    {
        if (_tail.WrittenCount > 0) Delta(item, _tail.WrittenSpan);
        _tail.ResetWrittenCount();
        Write("response.output_text.done", item, static (json, item) =>
        {
            Place(json, item);
            json.WriteNumber("content_index"u8, 0);
            json.WriteString("text"u8, item.Text);
            NoLogprobs(json);
        });
        Write("response.content_part.done", item, static (json, item) =>
        {
            Place(json, item);
            json.WriteNumber("content_index"u8, 0);
            json.WritePropertyName("part"u8);
            ResponseItem.WritePart(json, item.Text);
        });
        Done(item);
    }

    public void Call(ResponseItem item)
    {
        Added(item);
        Write("response.function_call_arguments.delta", item, static (json, item) =>
        {
            Place(json, item);
            json.WriteString("delta"u8, item.Call!.Arguments);
        });
        Write("response.function_call_arguments.done", item, static (json, item) =>
        {
            Place(json, item);
            json.WriteString("name"u8, item.Call!.Name);
            json.WriteString("arguments"u8, item.Call.Arguments);
        });
        Done(item);
    }

    public void Ended(ResponseFold fold, RunRecord end)
    {
        // What was told of an unfinished message may be more than the log has: the end is never among what a reader has seen.
        _next = Math.Max(_next, startingAfter + 1);
        string status = ResponseWriter.StatusOf(end);
        string type = status switch { "completed" => "response.completed", "failed" => "response.failed", _ => "response.incomplete" };
        Write(type, (request, end, fold), static (json, s) =>
        {
            json.WritePropertyName("response"u8);
            ResponseWriter.Write(json, s.request, s.end, ResponseWriter.StatusOf(s.end), s.fold.Items);
        });
    }

    private void WriteResponse(Utf8JsonWriter json, string status)
    {
        json.WritePropertyName("response"u8);
        ResponseWriter.Write(json, request, run with { Status = RunStatus.Running, Error = null, EndedAt = null }, status, []);
    }

    private void Added(ResponseItem item) => Write("response.output_item.added", item, static (json, item) =>
    {
        json.WriteNumber("output_index"u8, item.Index);
        json.WritePropertyName("item"u8);
        item.Write(json, "in_progress");
    });

    private void Done(ResponseItem item) => Write("response.output_item.done", item, static (json, item) =>
    {
        json.WriteNumber("output_index"u8, item.Index);
        json.WritePropertyName("item"u8);
        item.Write(json);
    });

    private void Delta(ResponseItem item, ReadOnlySpan<byte> text)
    {
        if (_next <= startingAfter)
        {
            _next++;
            return;
        }
        Write("response.output_text.delta", (item, Text: Encoding.UTF8.GetString(text)), static (json, s) =>
        {
            Place(json, s.item);
            json.WriteNumber("content_index"u8, 0);
            json.WriteString("delta"u8, s.Text);
            NoLogprobs(json);
        });
    }

    private static void Place(Utf8JsonWriter json, ResponseItem item)
    {
        json.WriteString("item_id"u8, item.Id);
        json.WriteNumber("output_index"u8, item.Index);
    }

    private static void NoLogprobs(Utf8JsonWriter json)
    {
        json.WriteStartArray("logprobs"u8);
        json.WriteEndArray();
    }

    private static bool IsSpace(byte b) => b is (byte)' ' or (byte)'\n' or (byte)'\t' or (byte)'\r';

    private void Write<T>(string type, T state, Action<Utf8JsonWriter, T> members)
    {
        long number = _next++;
        if (number <= startingAfter) return;
        Output.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"event: {type}\ndata: ")));
        using (var json = new Utf8JsonWriter(Output, Json.WriterOptions))
        {
            json.WriteStartObject();
            json.WriteString("type"u8, type);
            json.WriteNumber("sequence_number"u8, number);
            members(json, state);
            json.WriteEndObject();
        }
        Output.Write("\n\n"u8);
    }
}
