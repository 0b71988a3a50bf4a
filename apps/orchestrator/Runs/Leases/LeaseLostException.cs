namespace MultiAgent.Orchestrator.Runs.Leases;

/// <summary>Another process has taken the run up, or has ended it; nothing was written, and nothing more may be.</summary>
internal sealed class LeaseLostException(string runId) : Exception($"Run {runId} is held by another process, or has ended.");
