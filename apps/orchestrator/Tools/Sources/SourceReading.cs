namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>What a source offers.</summary>
/// <param name="Tools">Ready to be called.</param>
/// <param name="Skipped">What could not be taken, and why: a sentence each.</param>
internal sealed record SourceReading(IReadOnlyList<ImportedTool> Tools, IReadOnlyList<string> Skipped);

/// <summary>A source could not be read; the message is for people of the tenant and holds no secret.</summary>
internal sealed class SourceReadException(string message) : Exception(message);
