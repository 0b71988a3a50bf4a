namespace MultiAgent.Orchestrator.Blackboards;

/// <summary>A write to a blackboard: the history of the board, and with the last one of each entry what it holds.</summary>
internal sealed record BlackboardWrite
{
    public required string TenantId { get; init; }
    /// <summary>The run whose workflow declares the board.</summary>
    public required string BoardRunId { get; init; }
    public required string Name { get; init; }
    /// <summary>Counts the writes of the board, from 1.</summary>
    public long Version { get; init; }
    /// <summary>What is written under the same key again is written once.</summary>
    public required string Key { get; init; }
    /// <summary>The run that wrote.</summary>
    public required string RunId { get; init; }
    /// <summary>The step that wrote, or the key of the call.</summary>
    public required string Path { get; init; }
    /// <summary>Slug of the agent that wrote; null: a step.</summary>
    public string? Agent { get; init; }
    /// <summary>What was written, UTF-8 JSON.</summary>
    public required byte[] Given { get; init; }
    /// <summary>What the entry held then, UTF-8 JSON.</summary>
    public byte[] Value { get; init; } = [];
    public required DateTimeOffset At { get; init; }
}

/// <summary>A write was refused; the message is for whoever wrote.</summary>
internal sealed class BlackboardException(string code, string message) : Exception(message)
{
    public string Code => code;
}

/// <summary>Codes of refused writes; stable.</summary>
internal static class BlackboardCodes
{
    /// <summary>The run, and those around it, declare no blackboard.</summary>
    public const string NotDeclared = "blackboard_not_declared";
    public const string UnknownEntry = "blackboard_unknown_entry";
    /// <summary>The value does not fit the entry's schema.</summary>
    public const string Invalid = "blackboard_value_invalid";
    /// <summary>Somebody else has written since.</summary>
    public const string Conflict = "blackboard_conflict";
    /// <summary>The entry would be too large, or the board was written to too often.</summary>
    public const string Full = "blackboard_full";
}
