using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Serialization;
using MultiAgent.Models;
using MultiAgent.Orchestrator.Workflows.Execution;

namespace MultiAgent.Orchestrator.Workflows.Snapshots;

/// <summary>The state of a workflow's run, to be kept.</summary>
internal sealed class FlowContent
{
    /// <summary>Goes up with every change of what the log's events come to. Snapshots of another format are not read, and made anew.</summary>
    public const int Format = 1;

    public int Steps { get; init; }
    public TokenUsage Usage { get; init; }
    public decimal? CostUsd { get; init; }
    public (string Code, string Message)? Compensating { get; init; }

    /// <summary>By path.</summary>
    public required Dictionary<string, StepRecord> Records { get; init; }

    public byte[] Write()
    {
        using var kept = new MemoryStream();
        // Paths and names come again and again: a tenth of the size for little time, both ways.
        using (var compressed = new DeflateStream(kept, CompressionLevel.Fastest, leaveOpen: true)) compressed.Write(JsonSerializer.SerializeToUtf8Bytes(this, FlowContentJson.Default.FlowContent));
        return kept.ToArray();
    }

    /// <exception cref="JsonException">It is none.</exception>
    /// <exception cref="InvalidDataException">It is not compressed.</exception>
    public static FlowContent Read(byte[] data)
    {
        // From one piece of memory, which is read in half the time that a stream takes.
        using var plain = new MemoryStream(data.Length * 10);
        using (var compressed = new DeflateStream(new MemoryStream(data), CompressionMode.Decompress)) compressed.CopyTo(plain);
        return JsonSerializer.Deserialize(plain.GetBuffer().AsSpan(0, (int)plain.Length), FlowContentJson.Default.FlowContent) ?? throw new JsonException("The snapshot is empty.");
    }
}

/// <summary>Every property of a record, those that come later included; what is as at the beginning is left out.</summary>
[JsonSourceGenerationOptions(IncludeFields = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(FlowContent))]
internal sealed partial class FlowContentJson : JsonSerializerContext;
