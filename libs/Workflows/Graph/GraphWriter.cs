using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace MultiAgent.Workflows.Graph;

/// <summary>Writes graphs, with the states of steps laid over them where there are some.</summary>
public static class GraphWriter
{
    private const int MaxLabel = 80;

    // States of steps and how they look. Each has its own ground and its own text, so that it can be read on a light page and on a dark one.
    private static readonly (string State, string Style)[] Styles =
    [
        ("pending", "fill:#f5f5f5,stroke:#9e9e9e,color:#616161"),
        ("running", "fill:#bbdefb,stroke:#1565c0,color:#0d47a1"),
        ("retrying", "fill:#ffe0b2,stroke:#ef6c00,color:#7a3600"),
        ("waiting", "fill:#fff3c4,stroke:#b7791f,color:#5f370e"),
        ("completed", "fill:#c8e6c9,stroke:#2e7d32,color:#1b5e20"),
        ("failed", "fill:#ffcdd2,stroke:#c62828,color:#8e0000"),
        ("skipped", "fill:#fafafa,stroke:#bdbdbd,color:#6b6b6b,stroke-dasharray:4"),
        ("cancelled", "fill:#eeeeee,stroke:#757575,color:#424242"),
        ("compensating", "fill:#f3e5f5,stroke:#8e24aa,color:#4a148c,stroke-dasharray:4"),
        ("compensation_failed", "fill:#b71c1c,stroke:#7f0000,color:#ffffff"),
        ("compensated", "fill:#e1bee7,stroke:#6a1b9a,color:#4a148c"),
    ];

    /// <summary>A Mermaid flow chart.</summary>
    /// <param name="graph">The workflow.</param>
    /// <param name="states">State by step id, e.g. <c>running</c>; null for a definition alone.</param>
    /// <param name="notes">A line below the label, by step id.</param>
    public static string ToMermaid(this WorkflowGraph graph, IReadOnlyDictionary<string, string>? states = null, IReadOnlyDictionary<string, string>? notes = null)
    {
        var text = new StringBuilder("flowchart TD\n");
        WriteGroup(text, graph, null, 1, notes);
        foreach (GraphEdge edge in graph.Edges)
        {
            string line = edge.Kind == WorkflowGraph.Compensation ? "-.->" : "-->";
            text.Append("  ").Append(IdOf(edge.From)).Append(' ').Append(line);
            if (edge.Label is not null) text.Append("|\"").Append(Escape(edge.Label)).Append("\"|");
            text.Append(' ').Append(IdOf(edge.To)).Append('\n');
        }
        foreach ((string state, string style) in Styles)
        {
            string[] nodes = [.. graph.Nodes.Where(n => states?.GetValueOrDefault(n.Id) == state).Select(n => IdOf(n.Id))];
            if (nodes.Length > 0) text.Append("  classDef ").Append(state).Append(' ').Append(style).Append("\n  class ").AppendJoin(',', nodes).Append(' ').Append(state).Append('\n');
        }
        return text.ToString();
    }

    /// <summary>An object with <c>nodes</c>, <c>groups</c> and <c>edges</c>.</summary>
    /// <param name="graph">The workflow.</param>
    /// <param name="head">Writes members of the whole; null for a definition alone.</param>
    /// <param name="more">Writes members of a node; null for a definition alone.</param>
    public static byte[] ToJson(this WorkflowGraph graph, Action<Utf8JsonWriter>? head = null, Action<Utf8JsonWriter, GraphNode>? more = null)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("name"u8, graph.Name);
            head?.Invoke(json);
            json.WriteStartArray("nodes"u8);
            foreach (GraphNode node in graph.Nodes)
            {
                json.WriteStartObject();
                json.WriteString("id"u8, node.Id);
                json.WriteString("type"u8, node.Type);
                json.WriteString("kind"u8, node.Kind);
                json.WriteString("label"u8, node.Label);
                if (node.Group is not null) json.WriteString("group"u8, node.Group);
                if (node.Line > 0) json.WriteNumber("line"u8, node.Line);
                more?.Invoke(json, node);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteStartArray("groups"u8);
            foreach (GraphGroup group in graph.Groups)
            {
                json.WriteStartObject();
                json.WriteString("id"u8, group.Id);
                json.WriteString("step"u8, group.Step);
                json.WriteString("label"u8, group.Label);
                if (group.Group is not null) json.WriteString("group"u8, group.Group);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteStartArray("edges"u8);
            foreach (GraphEdge edge in graph.Edges)
            {
                json.WriteStartObject();
                json.WriteString("from"u8, edge.From);
                json.WriteString("to"u8, edge.To);
                json.WriteString("kind"u8, edge.Kind);
                if (edge.Label is not null) json.WriteString("label"u8, edge.Label);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteGroup(StringBuilder text, WorkflowGraph graph, string? group, int depth, IReadOnlyDictionary<string, string>? notes)
    {
        string indent = new(' ', depth * 2);
        foreach (GraphNode node in graph.Nodes.Where(n => n.Group == group))
        {
            (string open, string close) = node.Kind switch
            {
                "start" or "end" => ("([", "])"),
                "decision" => ("{", "}"),
                "fork" => ("[[", "]]"),
                "human" => ("[/", "/]"),
                "wait" => ("(", ")"),
                "subworkflow" => ("[[", "]]"),
                _ => ("[", "]"),
            };
            text.Append(indent).Append(IdOf(node.Id)).Append(open).Append('"').Append(Escape(node.Label));
            if (notes?.GetValueOrDefault(node.Id) is { } note) text.Append("<br/>").Append(Escape(note));
            text.Append('"').Append(close).Append('\n');
        }
        foreach (GraphGroup inner in graph.Groups.Where(g => g.Group == group))
        {
            text.Append(indent).Append("subgraph ").Append(IdOf(inner.Id)).Append("[\"").Append(Escape($"{inner.Step}: {inner.Label}")).Append("\"]\n");
            WriteGroup(text, graph, inner.Id, depth + 1, notes);
            text.Append(indent).Append("end\n");
        }
    }

    // Words of the language, 'end' above all, are no names of nodes.
    private static string IdOf(string id) => id switch
    {
        WorkflowGraph.Start => "n_start_of_workflow",
        WorkflowGraph.End => "n_end_of_workflow",
        _ when id.Contains('/', StringComparison.Ordinal) => $"g_{id.Replace("/", "__", StringComparison.Ordinal)}",
        _ => $"s_{id}",
    };

    private static string Escape(string label)
    {
        var text = new StringBuilder();
        foreach (Rune rune in (label.Length > MaxLabel ? label[..MaxLabel] + "…" : label).EnumerateRunes())
        {
            // Mermaid reads labels as HTML and Markdown.
            if (Rune.IsLetterOrDigit(rune) || rune.Value is ' ' or '.' or ',' or ':' or '_' or '-' or '(' or ')' or '/' or '@' or '…' or '?' or '!') text.Append(rune);
            else if (Rune.IsWhiteSpace(rune) || Rune.IsControl(rune)) text.Append(' ');
            else text.Append('#').Append(rune.Value).Append(';');
        }
        return text.ToString();
    }
}
