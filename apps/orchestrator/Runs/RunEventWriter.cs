using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>
/// The log's own events. Stored ones carry their number as <c>id</c>; pieces of text carry none, and a reader who comes back gets the unfinished message in one piece.
/// </summary>
/// <param name="forChat">Only what a chat client is shown.</param>
internal sealed class RunEventWriter(bool forChat) : IRunStreamWriter
{
    public ValueTask WriteEventAsync(PipeWriter output, RunEvent e)
    {
        if (!forChat || RunEventTypes.IsForChat(e.Type)) WriteEvent(output, e);
        return default;
    }

    private static void WriteEvent(PipeWriter output, RunEvent e)
    {
        string head = string.Create(CultureInfo.InvariantCulture, $"id: {e.Seq}\nevent: {RunEventTypes.WireName(e.Type)}\ndata: ");
        output.Write(Encoding.ASCII.GetBytes(head));
        ReadOnlySpan<byte> data = e.Data;
        // A client's request inside an event may be formatted over several lines.
        while (data.IndexOf((byte)'\n') is >= 0 and var line)
        {
            output.Write(data[..line].TrimEnd((byte)'\r'));
            output.Write("\ndata: "u8);
            data = data[(line + 1)..];
        }
        output.Write(data);
        output.Write("\n\n"u8);
    }

    public void WriteText(PipeWriter output, ReadOnlySpan<byte> text)
    {
        output.Write("event: message.delta\ndata: "u8);
        using (var json = new Utf8JsonWriter(output, Json.WriterOptions))
        {
            json.WriteStartObject();
            json.WriteString("text"u8, text);
            json.WriteEndObject();
        }
        output.Write("\n\n"u8);
    }
}
