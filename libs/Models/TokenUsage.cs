namespace MultiAgent.Models;

/// <summary>Tokens of one model call.</summary>
/// <param name="InputTokens">All input tokens, cached and cache-written ones included.</param>
/// <param name="OutputTokens">All output tokens, reasoning included.</param>
/// <param name="CachedInputTokens">Part of the input that the provider read from its cache.</param>
/// <param name="CacheWriteTokens">Part of the input that the provider wrote to its cache (Anthropic only).</param>
/// <param name="ReasoningTokens">Part of the output that the model spent on reasoning.</param>
/// <param name="Estimated">True when the provider reported nothing and the tokens were counted here.</param>
public readonly record struct TokenUsage(
    long InputTokens,
    long OutputTokens,
    long CachedInputTokens = 0,
    long CacheWriteTokens = 0,
    long ReasoningTokens = 0,
    bool Estimated = false)
{
    /// <summary>The sum; estimated if either is.</summary>
    public static TokenUsage operator +(in TokenUsage a, in TokenUsage b) => new(
        a.InputTokens + b.InputTokens, a.OutputTokens + b.OutputTokens, a.CachedInputTokens + b.CachedInputTokens,
        a.CacheWriteTokens + b.CacheWriteTokens, a.ReasoningTokens + b.ReasoningTokens, a.Estimated || b.Estimated);
}
