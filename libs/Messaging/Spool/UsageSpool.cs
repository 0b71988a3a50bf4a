using MultiAgent.Contracts.Events;

namespace MultiAgent.Messaging.Spool;

/// <summary>Writes usage records to the spool.</summary>
internal sealed class UsageSpool(IEventSpool spool, TenantMetrics metrics) : IUsageSink
{
    public bool IsAccepting => !spool.IsNearlyFull;

    public void Record(UsageRecord record)
    {
        spool.Append(SpoolKind.Usage, RecordJson.Write(record));
        metrics.Count(record);
    }
}
