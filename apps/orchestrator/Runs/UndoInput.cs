using System.Text.Json;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>What a run is to undo in the place of another, which could not.</summary>
/// <param name="RunId">The other run: keys of calls are made as for it.</param>
/// <param name="Path">The step that it did.</param>
/// <param name="UndoPath">The step that undoes it.</param>
/// <param name="DeadLetterId">Where it is kept that this is to be done.</param>
internal sealed record UndoInput(string RunId, string Path, string UndoPath, string DeadLetterId)
{
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject("undo"u8);
        json.WriteString("runId"u8, RunId);
        json.WriteString("step"u8, Path);
        json.WriteString("undo"u8, UndoPath);
        json.WriteString("deadLetterId"u8, DeadLetterId);
        json.WriteEndObject();
    }

    public static UndoInput Read(in JsonElement undo) =>
        new(undo.GetProperty("runId").GetString()!, undo.GetProperty("step").GetString()!, undo.GetProperty("undo").GetString()!, undo.GetProperty("deadLetterId").GetString()!);
}
