using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;

namespace MultiAgent.Gateway.OpenAi;

/// <summary>The OpenAI-compatible surface under <c>/v1</c>.</summary>
internal static class OpenAiSurface
{
    public static void AddOpenAiSurface(this IServiceCollection services)
    {
        services.AddSingleton<KeepAlive>();
        services.AddSingleton<CompletionJourneys>();
        services.AddSingleton<ChatCompletions>();
        services.AddSingleton<Embeddings>();
    }

    public static void MapOpenAiSurface(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/v1").WithTags("OpenAI-compatible").RequireScope(Scopes.ModelsInvoke);
        // Model calls have time limits of their own, per attempt and in all.
        group.DisableRequestTimeout();
        ChatCompletions chat = routes.ServiceProvider.GetRequiredService<ChatCompletions>();
        Embeddings embeddings = routes.ServiceProvider.GetRequiredService<Embeddings>();

        // Handlers of the bare context: the bodies pass through as bytes.
        group.MapPost("/chat/completions", (Delegate)chat.HandleAsync).Idempotent().WithMetadata(new ReadsOwnBody())
            .WithSummary("Answer a chat with a model (provider/model, an alias, auto) or an agent (agent/<slug>) or a workflow (workflow/<slug>)")
            .WithDescription("The OpenAI chat completions format, streaming included.")
            .Accepts<ChatCompletionShape>("application/json", "*/*").Produces(200, contentType: "application/json");
        group.MapPost("/embeddings", (Delegate)embeddings.HandleAsync).Idempotent().WithMetadata(new ReadsOwnBody())
            .WithSummary("Embed texts").Accepts<EmbeddingsShape>("application/json", "*/*").Produces(200, contentType: "application/json");
        group.MapGet("/models", ModelList.GetAll).WithSummary("The models and agents that can be named");
        group.MapGet("/models/{**id}", ModelList.GetOne).WithSummary("One model or agent");
    }
}

/// <summary>The members of a chat completion request that decide where it goes; all of OpenAI's are passed on.</summary>
internal sealed record ChatCompletionShape(string Model, IReadOnlyList<object> Messages, bool? Stream);

/// <summary>The members of an embeddings request.</summary>
internal sealed record EmbeddingsShape(string Model, object Input, string? EncodingFormat, int? Dimensions);
