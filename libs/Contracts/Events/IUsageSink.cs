namespace MultiAgent.Contracts.Events;

/// <summary>Takes usage records on the hot path. A record is safe from the death of the process when the call returns.</summary>
public interface IUsageSink
{
    void Record(UsageRecord record);
}
