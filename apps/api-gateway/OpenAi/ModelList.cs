using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Clients;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Models.Catalogue;

namespace MultiAgent.Gateway.OpenAi;

/// <summary><c>GET /v1/models</c> and <c>GET /v1/models/{id}</c>.</summary>
internal static class ModelList
{
    public static async Task<Ok<OpenAiList>> GetAll(HttpContext context, ModelCatalogueSource catalogue, IAgentCompletions agents, TimeProvider time)
    {
        // Models have no date of their own here; the field is required by clients.
        long now = time.GetUtcNow().ToUnixTimeSeconds();
        List<OpenAiModel> data = [new("auto", "model", now, "maap")];
        data.AddRange(catalogue.Current.List().Select(m => ModelOf(m, now)));
        data.AddRange((await agents.ListAsync(context.GetCaller(), context.RequestAborted)).Select(AgentOf));
        return TypedResults.Ok(new OpenAiList("list", data));
    }

    public static async Task GetOne(HttpContext context, string id, ModelCatalogueSource catalogue, IAgentCompletions agents, TimeProvider time)
    {
        // Clients may send provider/model percent-encoded.
        id = Uri.UnescapeDataString(id);
        long now = time.GetUtcNow().ToUnixTimeSeconds();
        OpenAiModel? model = id == "auto" ? new("auto", "model", now, "maap")
            : id.StartsWith("agent/", StringComparison.Ordinal) || id.StartsWith(AgentCompletionRequest.WorkflowPrefix, StringComparison.Ordinal)
                ? (await agents.ListAsync(context.GetCaller(), context.RequestAborted)).Select(AgentOf).FirstOrDefault(a => a.Id == id)
                : catalogue.Current.List().Where(m => m.Id == id).Select(m => ModelOf(m, now)).FirstOrDefault();
        if (model is null) await ErrorWriter.WriteAsync(context, 404, ErrorCodes.ModelNotFound, $"The model '{(id.Length > 100 ? id[..100] : id)}' does not exist here.", "model");
        else await context.Response.WriteAsJsonAsync(model, context.RequestAborted);
    }

    private static OpenAiModel ModelOf(ModelListing listing, long created) => new(listing.Id, "model", created, listing.Entry.Provider)
    {
        ContextLength = listing.Entry.ContextTokens,
        Tier = listing.Entry.Tier?.ToString().ToLowerInvariant(),
    };

    private static OpenAiModel AgentOf(AgentSummary agent) => agent.IsWorkflow
        ? new($"{AgentCompletionRequest.WorkflowPrefix}{agent.Slug}", "model", agent.CreatedAt.ToUnixTimeSeconds(), "workflow") { Name = agent.Name }
        : new($"agent/{agent.Slug}", "model", agent.CreatedAt.ToUnixTimeSeconds(), "agent") { Name = agent.Name };
}

/// <summary>OpenAI's list object.</summary>
internal sealed record OpenAiList(string Object, IReadOnlyList<OpenAiModel> Data);

/// <summary>OpenAI's model object, with what clients of other gateways look for beside it.</summary>
internal sealed record OpenAiModel(string Id, string Object, long Created, [property: JsonPropertyName("owned_by")] string OwnedBy)
{
    [JsonPropertyName("context_length")]
    public int? ContextLength { get; init; }

    public string? Tier { get; init; }

    public string? Name { get; init; }
}
