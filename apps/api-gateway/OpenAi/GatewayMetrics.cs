using System.Diagnostics.Metrics;
using MultiAgent.Hosting.Telemetry;

namespace MultiAgent.Gateway.OpenAi;

/// <summary>Counts of chats: <c>chat_requests_total</c> and <c>chat_completions_total</c>.</summary>
internal sealed class GatewayMetrics
{
    private readonly Counter<long> _requests = PlatformTelemetry.Meter.CreateCounter<long>("chat_requests", null, "Chat requests received.");
    private readonly Counter<long> _completions = PlatformTelemetry.Meter.CreateCounter<long>("chat_completions", null, "Chat requests that ended, by outcome.");

    public void ChatRequested() => _requests.Add(1, new KeyValuePair<string, object?>("surface", "openai"));

    public void ChatCompleted(string outcome) => _completions.Add(1, new("surface", "openai"), new KeyValuePair<string, object?>("outcome", outcome));
}
