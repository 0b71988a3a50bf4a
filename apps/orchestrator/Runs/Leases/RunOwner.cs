using MultiAgent.Contracts;

namespace MultiAgent.Orchestrator.Runs.Leases;

/// <summary>This process as a holder of runs: a name that no other process has or will have.</summary>
internal sealed class RunOwner(TimeProvider time)
{
    public string Name { get; } = $"{Environment.MachineName}/{Ids.New("prc", time)}";
}
