using System.Text.Json;
using System.Text.Json.Nodes;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Tools.Sources;

namespace MultiAgent.Orchestrator.Tools.SubRuns;

/// <summary>A tool whose calls are runs.</summary>
internal interface ISubRunTool : ITool
{
    /// <summary>What a call with these arguments runs.</summary>
    /// <exception cref="ToolException">It cannot be run.</exception>
    Task<SubRunTarget> TargetAsync(string tenantId, JsonElement arguments, CancellationToken cancellationToken);
}

/// <summary>An agent that another one asks.</summary>
internal sealed class AgentSubRun(string name, string reference, CompiledAgent agent, SubRunCalls calls) : ISubRunTool
{
    public string Name => name;

    public string WireName { get; } = ToolNames.Wire("agent", reference.Replace('@', '_'));

    public string MetricName => "agent";

    public bool HasLargeResults => true;

    public string Description { get; } = $"Asks the agent '{agent.Spec.Name ?? agent.Slug}' and returns its answer.{(string.IsNullOrWhiteSpace(agent.Spec.Description) ? "" : $" {agent.Spec.Description}")}";

    public string ParametersSchema { get; } = Schema(agent);

    public byte[] Definition => field ??= ToolRegistry.Define(WireName, Description, ParametersSchema);

    // A repeated call finds the run that the first one started.
    public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.Idempotent;

    public Task<SubRunTarget> TargetAsync(string tenantId, JsonElement arguments, CancellationToken cancellationToken)
    {
        Dictionary<string, JsonElement>? variables = arguments.TryGetProperty("variables", out JsonElement given) ? given.EnumerateObject().ToDictionary(v => v.Name, v => v.Value) : null;
        return calls.AgentAsync(tenantId, reference, arguments.GetProperty("message").GetString()!, variables, cancellationToken);
    }

    public Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken) =>
        calls.RunAsync(context, () => TargetAsync(context.TenantId, arguments, cancellationToken), cancellationToken);

    private static string Schema(CompiledAgent agent)
    {
        var properties = new JsonObject { ["message"] = new JsonObject { ["type"] = "string", ["minLength"] = 1, ["maxLength"] = 200_000, ["description"] = "What the agent is told. It knows nothing of this conversation." } };
        var required = new JsonArray("message");
        if (agent.Spec.Variables is { Count: > 0 } variables)
        {
            var values = new JsonObject();
            foreach (AgentVariable variable in variables)
                values[variable.Name!] = new JsonObject { ["type"] = new JsonArray("string", "number", "boolean"), ["description"] = variable.Description ?? variable.Name };
            var needed = new JsonArray([.. variables.Where(v => v.Required).Select(v => JsonValue.Create(v.Name))]);
            properties["variables"] = new JsonObject { ["type"] = "object", ["properties"] = values, ["required"] = needed, ["additionalProperties"] = false };
            if (needed.Count > 0) required.Add("variables");
        }
        return new JsonObject { ["type"] = "object", ["properties"] = properties, ["required"] = required, ["additionalProperties"] = false }.ToJsonString();
    }
}
