using System.Text.Json;
using MultiAgent.Models;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Runs;

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
    /// <summary>The name that agents and workflows list; unique in a tenant.</summary>
    string Name { get; }

    /// <summary>The name that models call: letters, digits, dashes and underscores, at most 64.</summary>
    string WireName => Name;

    /// <summary>The name in metrics: of tools that tenants bring, their kind.</summary>
    string MetricName => Name;

    /// <summary>Its author says that a call may destroy something; approvals can go by it.</summary>
    bool IsDestructive => false;

    /// <summary>Results may be larger than what a model gets, which then can read on.</summary>
    bool HasLargeResults => false;

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
    Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken);
}

/// <summary>What a tool knows of the call.</summary>
internal sealed record ToolContext
{
    public required string TenantId { get; init; }
    public required string RunId { get; init; }
    /// <summary>The same for every attempt at this call, before and after a crash.</summary>
    public required string IdempotencyKey { get; init; }
    /// <summary>The run; null for a call outside of one.</summary>
    public RunRecord? Run { get; init; }
    /// <summary>The run that an earlier attempt at this call has started, where the log tells it.</summary>
    public string? ChildRunId { get; init; }
    /// <summary>Whom the run is for: the user who is logged in, or the one that the client names (<c>metadata.user_id</c>, or <c>user</c> of a completion). Null when nobody is named.</summary>
    public string? User => Run is null ? null : RunUser.Of(Run);
    /// <summary>The agent's settings for the tool.</summary>
    public required AgentTool Settings { get; init; }
}

/// <summary>What a call gave.</summary>
/// <param name="Text">For the model.</param>
internal sealed record ToolResult(string Text)
{
    /// <summary>The call failed, and had its cost all the same.</summary>
    public bool IsError { get; init; }

    /// <summary>Tokens of the run that the call was.</summary>
    public TokenUsage Usage { get; init; }

    /// <summary>US dollars; null when unknown.</summary>
    public decimal? CostUsd { get; init; } = 0m;

    /// <summary>The run that the call was.</summary>
    public string? RunId { get; init; }

    /// <summary>What the call wrote to the blackboard.</summary>
    public BlackboardWrite? Written { get; init; }

    /// <summary>There is no result yet: the call is a run that rests. Made again with that run, it gives the result, or rests on.</summary>
    public RestingCall? Rests { get; init; }

    public static implicit operator ToolResult(string text) => new(text);
}

/// <summary>A call that is a run which rests.</summary>
/// <param name="RunId">The run.</param>
/// <param name="Until">When the call's time is up; null: never.</param>
internal sealed record RestingCall(string RunId, DateTimeOffset? Until);

/// <summary>A call failed; the message is for the model and holds no secret.</summary>
internal sealed class ToolException(string message) : Exception(message)
{
    /// <summary>Stable, where a program may want to tell it from others.</summary>
    public string? Code { get; init; }

    /// <summary>The run that the call was.</summary>
    public string? RunId { get; init; }

    /// <summary>Another attempt may do better.</summary>
    public bool IsTransient { get; init; }
}

/// <summary>Codes of failed calls.</summary>
internal static class ToolErrorCodes
{
    /// <summary>Runs have started runs as deep as they may.</summary>
    public const string RunDepthExceeded = "run_depth_exceeded";
    /// <summary>Calls of the tool's source failed too often, and it is given a pause.</summary>
    public const string SourceUnavailable = "tool_source_unavailable";
    /// <summary>The source makes as many calls as it may.</summary>
    public const string SourceBusy = "tool_source_busy";
    public const string Timeout = "tool_timeout";
    /// <summary>A run around this one is answering the same question already.</summary>
    public const string NoProgress = "no_progress";
    /// <summary>What the tool returned does not fit the schema that it declares.</summary>
    public const string InvalidResult = "tool_result_invalid";
}
