using System.Text.Json;
using MultiAgent.Orchestrator.Agents;

namespace MultiAgent.Orchestrator.Tools;

/// <summary>What a repetition of a call does, which decides what happens when a crash leaves a call without a result.</summary>
internal enum ToolEffect
{
    /// <summary>Changes nothing: repeat freely.</summary>
    None,
    /// <summary>Changes something, but the same call twice changes it once: repeat with the same idempotency key.</summary>
    Idempotent,
    /// <summary>Must not be repeated: the model is told that the outcome is unknown.</summary>
    Unsafe,
}

/// <summary>Names of effects as logs keep them.</summary>
internal static class ToolEffects
{
    public static string Of(ToolEffect effect) => effect switch { ToolEffect.None => "none", ToolEffect.Idempotent => "idempotent", _ => "unsafe" };
}

/// <summary>A tool that runs in the platform. Stateless; one instance serves all agents.</summary>
internal interface ITool
{
    /// <summary>The name that models call and agents list.</summary>
    string Name { get; }

    /// <summary>Tells the model what it is for.</summary>
    string Description { get; }

    /// <summary>JSON schema of the arguments.</summary>
    string ParametersSchema { get; }

    /// <summary>The tool's definition in the OpenAI dialect, made once.</summary>
    byte[] Definition { get; }

    /// <summary>What repeating a call with these arguments does.</summary>
    ToolEffect EffectOf(JsonElement arguments);

    /// <summary>Runs a call. The arguments come from a model and have passed the schema.</summary>
    /// <exception cref="ToolException">The call failed in a way that the model is to be told.</exception>
    Task<string> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken);
}

/// <summary>What a tool knows of the call.</summary>
internal sealed record ToolContext
{
    public required string TenantId { get; init; }
    public required string RunId { get; init; }
    /// <summary>The same for every attempt at this call, before and after a crash.</summary>
    public required string IdempotencyKey { get; init; }
    /// <summary>Whom the run is for: the user who is logged in, or the one that the client names (<c>metadata.user_id</c>, or <c>user</c> of a completion). Null when nobody is named.</summary>
    public string? User { get; init; }
    /// <summary>Slug of the agent or workflow.</summary>
    public string Agent { get; init; } = "";
    public string? ConversationId { get; init; }
    /// <summary>The agent's settings for the tool.</summary>
    public required AgentTool Settings { get; init; }
}

/// <summary>A call failed; the message is for the model and holds no secret.</summary>
internal sealed class ToolException(string message) : Exception(message);
