using Microsoft.AspNetCore.Http;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Telemetry;

namespace MultiAgent.Gateway.OpenAi;

/// <summary>
/// Writes a completion's journey and outcome once: before the last bytes go out, so that an answer that a client has seen
/// whole is in the books, or when the answer ends in another way.
/// </summary>
internal sealed class CompletionBooks(CompletionJourneys journeys, ChatMetrics metrics, HttpContext context, RequestInfo info, string? user)
{
    private bool _closed;

    public void Close(string outcome)
    {
        if (_closed) return;
        _closed = true;
        journeys.Record(context, info, user, outcome);
        metrics.Completed("model", outcome);
    }
}
