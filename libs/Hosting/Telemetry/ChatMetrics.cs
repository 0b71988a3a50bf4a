namespace MultiAgent.Hosting.Telemetry;

/// <summary>
/// <c>chat_requests_total</c> and <c>chat_completions_total</c>. The surface is <c>model</c> (a model through <c>/v1</c>),
/// <c>completion</c> (an agent through <c>/v1</c>) or <c>chat</c> (<c>/api/v1/chat</c>); each chat is counted once.
/// </summary>
public sealed class ChatMetrics
{
    private readonly SeriesCounter<(string Surface, string Outcome)> _requests = new SeriesCounter<(string Surface, string Outcome)>("chat_requests", "Chat requests received.", static k => [new("surface", k.Surface)]);
    private readonly SeriesCounter<(string Surface, string Outcome)> _completions = new SeriesCounter<(string Surface, string Outcome)>("chat_completions", "Chat requests that ended, by outcome.", static k => [new("surface", k.Surface), new("outcome", k.Outcome)]);

    public void Requested(string surface) => _requests.Add((surface, ""));

    /// <param name="surface">As in <see cref="Requested"/>.</param>
    /// <param name="outcome"><c>completed</c>, <c>failed</c>, <c>cancelled</c> or <c>abandoned</c>.</param>
    public void Completed(string surface, string outcome) => _completions.Add((surface, outcome));
}
