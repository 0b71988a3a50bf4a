using System.Diagnostics.Metrics;

namespace MultiAgent.Hosting.Telemetry;

/// <summary>
/// <c>chat_requests_total</c> and <c>chat_completions_total</c>. The surface is <c>model</c> (a model through <c>/v1</c>),
/// <c>completion</c> (an agent through <c>/v1</c>) or <c>chat</c> (<c>/api/v1/chat</c>); each chat is counted once.
/// </summary>
public sealed class ChatMetrics
{
    private readonly Counter<long> _requests = PlatformTelemetry.Meter.CreateCounter<long>("chat_requests", null, "Chat requests received.");
    private readonly Counter<long> _completions = PlatformTelemetry.Meter.CreateCounter<long>("chat_completions", null, "Chat requests that ended, by outcome.");

    public void Requested(string surface) => _requests.Add(1, new KeyValuePair<string, object?>("surface", surface));

    /// <param name="surface">As in <see cref="Requested"/>.</param>
    /// <param name="outcome"><c>completed</c>, <c>failed</c>, <c>cancelled</c> or <c>abandoned</c>.</param>
    public void Completed(string surface, string outcome) => _completions.Add(1, new("surface", surface), new KeyValuePair<string, object?>("outcome", outcome));
}
