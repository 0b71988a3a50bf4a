namespace MultiAgent.Orchestrator.Runs.Leases;

/// <summary>Names of the causes that one process passes to another.</summary>
internal static class CancelCauses
{
    public static string Of(StopCause cause) => cause switch { StopCause.Superseded => "superseded", StopCause.RolledBack => "rolled_back", _ => "requested" };

    public static StopCause Parse(string? name) => name switch { null => StopCause.None, "superseded" => StopCause.Superseded, "rolled_back" => StopCause.RolledBack, _ => StopCause.Requested };
}
