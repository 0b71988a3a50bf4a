using System.Buffers;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Tokens;

namespace MultiAgent.Orchestrator.Chat;

/// <summary>What the orchestrator knows of models: their window, and how text counts in tokens.</summary>
internal interface IModelFacts
{
    /// <summary>The window of the model behind a requested name, tokens; null when unknown.</summary>
    int? ContextTokens(string model);

    /// <summary>The name leads to a model that can be called.</summary>
    bool Knows(string model);

    /// <summary>Tokens of a message's JSON for the model.</summary>
    int CountTokens(ReadOnlySpan<byte> message, string model);
}

/// <summary>The catalogue's windows and the tokenizer's counts.</summary>
internal sealed class CatalogueModelFacts(ModelCatalogueSource catalogue) : IModelFacts
{
    public int? ContextTokens(string model)
    {
        ModelCatalogue current = catalogue.Current;
        // Which candidate will answer is not known yet: what fits the smallest window fits all.
        return model switch
        {
            "auto" or "auto/balanced" => Smallest(current.AutoCandidates(ModelTier.Balanced)),
            "auto/fast" => Smallest(current.AutoCandidates(ModelTier.Fast)),
            "auto/strong" => Smallest(current.AutoCandidates(ModelTier.Strong)),
            _ => current.Resolve(model)?.ContextTokens,
        };
    }

    public bool Knows(string model)
    {
        ModelCatalogue current = catalogue.Current;
        return model switch
        {
            "auto" or "auto/balanced" => current.AutoCandidates(ModelTier.Balanced).Count > 0,
            "auto/fast" => current.AutoCandidates(ModelTier.Fast).Count > 0,
            "auto/strong" => current.AutoCandidates(ModelTier.Strong).Count > 0,
            _ => current.Resolve(model) is not null,
        };
    }

    public int CountTokens(ReadOnlySpan<byte> message, string model)
    {
        // As a request of one message, so that an image counts as an image and not as its base64.
        ReadOnlySpan<byte> head = "{\"messages\":["u8, tail = "]}"u8;
        byte[] request = ArrayPool<byte>.Shared.Rent(head.Length + message.Length + tail.Length);
        try
        {
            head.CopyTo(request);
            message.CopyTo(request.AsSpan(head.Length));
            tail.CopyTo(request.AsSpan(head.Length + message.Length));
            return TokenCounter.CountChatRequest(request.AsSpan(0, head.Length + message.Length + tail.Length), model);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(request);
        }
    }

    private static int? Smallest(IReadOnlyList<ModelEntry> candidates) => candidates.Min(c => c.ContextTokens);
}
