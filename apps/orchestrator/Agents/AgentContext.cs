namespace MultiAgent.Orchestrator.Agents;

/// <summary>What becomes of a conversation that grows beyond what its model is to be sent.</summary>
internal sealed record AgentContext
{
    public const string Truncate = "truncate";
    public const string Summarize = "summarize";
    public const double DefaultThreshold = 0.7;
    public const int DefaultKeepMessages = 10;
    public const int DefaultSummaryTokens = 800;

    /// <summary><c>truncate</c> (default): the oldest messages are not sent; <c>summarize</c>: a summary of them is.</summary>
    public string? Strategy { get; init; }
    /// <summary>The share of the model's window from which on messages are summarised, 0.1 to 0.95; 0.7 by default.</summary>
    public double? Threshold { get; init; }
    /// <summary>As <see cref="Threshold"/>, in tokens; the smaller one counts.</summary>
    public int? MaxTokens { get; init; }
    /// <summary>The newest messages that are sent as they are; 10 by default, 1 to 200. A call of tools and its results stay together.</summary>
    public int? KeepMessages { get; init; }
    /// <summary>The model that summarises; the agent's own by default. Give this or <see cref="Tier"/>.</summary>
    public string? Model { get; init; }
    public string? Tier { get; init; }
    /// <summary>Most tokens of a summary; 800 by default, 50 to 8 000.</summary>
    public int? SummaryTokens { get; init; }

    /// <summary>The name of the model that summarises, when the agent's own is this.</summary>
    public string ModelOr(string own) => Model ?? (Tier is null ? own : $"auto/{Tier}");
}
