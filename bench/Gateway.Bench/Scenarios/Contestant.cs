namespace MultiAgent.Bench.Gateway.Scenarios;

/// <summary>A running server with the request that it gets, or the reason why it cannot take part.</summary>
internal sealed record Contestant(string Name, Server? Server, ChatRequest? Request, string? Problem);
