using MultiAgent.Contracts.Events;
using MultiAgent.Messaging.Spool;

namespace MultiAgent.Messaging;

/// <summary>Records changes of journeys through the spool; see <see cref="JourneyChange"/>.</summary>
public sealed class JourneyRecorder(IEventSpool spool, JourneyMetrics metrics)
{
    public void Record(JourneyChange change)
    {
        spool.Append(SpoolKind.Journey, RecordJson.Write(change));
        metrics.Count(change);
    }
}
