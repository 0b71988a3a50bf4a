namespace MultiAgent.Contracts.Events;

/// <summary>Takes usage records on the hot path. A record is safe from the death of the process when the call returns.</summary>
public interface IUsageSink
{
    void Record(UsageRecord record);

    /// <summary>False when records would find no room soon: begin nothing that has to be metered.</summary>
    bool IsAccepting { get; }
}
