using System.Diagnostics.Metrics;
using MultiAgent.Contracts.Events;
using MultiAgent.Hosting.Telemetry;
using MultiAgent.Messaging.Spool;

namespace MultiAgent.Messaging;

/// <summary>Records answered requests through the spool. Best effort: a record that finds no room is counted in <c>request_log_dropped_total</c> and gone.</summary>
public sealed class RequestRecorder(IEventSpool spool)
{
    private readonly Counter<long> _dropped = PlatformTelemetry.Meter.CreateCounter<long>("request_log_dropped", null, "Records of the request log that were dropped.");

    public void Record(RequestRecord record)
    {
        if (!spool.Append(SpoolKind.Request, RecordJson.Write(record))) _dropped.Add(1);
    }
}
