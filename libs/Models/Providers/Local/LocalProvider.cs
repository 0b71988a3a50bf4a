using System.Security.Cryptography;
using System.Text.Json;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Tokens;

namespace MultiAgent.Models.Providers.Local;

/// <summary>
/// The model that comes with the platform: deterministic, extractive, and honest about it. Answers from the conversation,
/// follows tool and output schemas, and makes embeddings by hashing. Needs no network.
/// </summary>
internal sealed class LocalProvider(TimeProvider time) : IModelProvider
{
    public string Type => ProviderTypes.Local;

    public ValueTask<ProviderResponse> SendAsync(ProviderCall call, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult<ProviderResponse>(Answer(call));
    }

    private CannedResponse Answer(ProviderCall call)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(call.Body, new JsonDocumentOptions { MaxDepth = 256 });
            return (call.Operation, call.Deployment.UpstreamModel) switch
            {
                (ModelOperation.Chat, "assistant") => Chat(call, document.RootElement),
                (ModelOperation.Embeddings, "embeddings") => LocalEmbeddings.Answer(document.RootElement, Model(call)),
                (ModelOperation.Chat, _) => Wrong("This model makes embeddings and does not chat."),
                (ModelOperation.Embeddings, _) => Wrong("This model chats and does not make embeddings."),
                _ => throw new ArgumentOutOfRangeException(nameof(call), call.Operation, "Unknown operation."),
            };
        }
        catch (RequestRejectedException e)
        {
            return e.Error.ToResponse();
        }
        // Strings are decoded only here: bytes that are not UTF-8 and lone surrogates come to light late.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return OpenAiError.Invalid("The request holds a text that is not valid Unicode, or a member of the wrong type.", null).ToResponse();
        }
    }

    private CannedResponse Chat(ProviderCall call, JsonElement root)
    {
        LocalConversation conversation = LocalConversation.Read(root);
        string seed = Convert.ToHexStringLower(SHA256.HashData(call.Body.Span).AsSpan(0, 12));
        string model = Model(call);
        ChatChoice choice = Limit(LocalReply.Make(conversation, seed), conversation, model, out int tokens);
        var usage = new TokenUsage(TokenCounter.CountChatRequest(call.Body.Span, model), (long)tokens * conversation.Choices);
        string id = $"chatcmpl-{seed}";
        long created = time.GetUtcNow().ToUnixTimeSeconds();
        return call.Stream
            ? new CannedResponse(200, LocalStream.Write(id, created, model, choice, conversation.Choices, usage, call.Envelope.IncludeUsage), isEventStream: true, usage: usage)
            : new CannedResponse(200, ChatCompletionWriter.Write(id, created, model, [.. Enumerable.Repeat(choice, conversation.Choices)], usage), usage: usage);
    }

    /// <summary>Cuts a text at the first stop sequence and at the limit of tokens. Tool calls stay whole: half a call is of no use.</summary>
    private static ChatChoice Limit(ChatChoice choice, LocalConversation conversation, string model, out int tokens)
    {
        tokens = choice.ToolCalls.Sum(c => TokenCounter.Count(c.Name, model) + TokenCounter.Count(c.Arguments, model));
        if (choice.Content is not { } text) return choice;
        int stop = conversation.Stop.Select(s => text.IndexOf(s, StringComparison.Ordinal)).Where(i => i >= 0).DefaultIfEmpty(text.Length).Min();
        text = text[..stop];
        string kept = TokenCounter.Truncate(text, conversation.MaxTokens ?? int.MaxValue, model, out tokens);
        return choice with { Content = kept, FinishReason = kept.Length < text.Length ? "length" : choice.FinishReason };
    }

    private static string Model(ProviderCall call) => $"{CatalogueNames.Local}/{call.Deployment.UpstreamModel}";

    private static CannedResponse Wrong(string message) => OpenAiError.Invalid(message, "model", "unsupported_operation").ToResponse();
}
