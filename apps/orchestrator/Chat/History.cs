namespace MultiAgent.Orchestrator.Chat;

/// <summary>What was said before a run.</summary>
/// <param name="Summary">Of what came before the messages; null when nothing did, or it was not summarised.</param>
/// <param name="Messages">Oldest first.</param>
internal sealed record History(string? Summary, IReadOnlyList<ChatMessage> Messages)
{
    public static readonly History None = new(null, []);
}
