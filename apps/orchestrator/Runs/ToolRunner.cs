using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using MultiAgent.Hosting.Telemetry;
using MultiAgent.Models;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Tools;
using MultiAgent.Orchestrator.Tools.Results;
using MultiAgent.Orchestrator.Tools.Sources;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>A call as it is going to be made: checked, or with the error that the model gets instead.</summary>
internal sealed record PlannedCall(ToolCall Call, string IdempotencyKey, BoundTool? Tool, JsonElement Arguments, ToolEffect Effect, string? Error)
{
    /// <summary>The run that the call is, once it is known from the log.</summary>
    public string? ChildRunId { get; init; }
}

/// <summary>The result of a call, for the model.</summary>
/// <param name="Text">Not longer than <see cref="ToolRunner.MaxResultBytes"/> and a note.</param>
/// <param name="IsError">The call failed.</param>
/// <param name="Usage">Tokens of the run that the call was.</param>
/// <param name="CostUsd">US dollars; null when unknown.</param>
/// <param name="Code">Of a failure, where it has one; stable.</param>
/// <param name="RunId">The run that the call was.</param>
/// <param name="Rests">There is no result yet: the call is a run that rests.</param>
/// <param name="Written">What the call wrote to the blackboard.</param>
internal readonly record struct CallResult(string Text, bool IsError, TokenUsage Usage = default, decimal? CostUsd = 0m, string? Code = null, string? RunId = null, RestingCall? Rests = null, BlackboardWrite? Written = null);

/// <summary>Checks and makes calls of tools. Whatever goes wrong becomes a result that the model can act on.</summary>
internal sealed partial class ToolRunner(ToolRegistry registry, TenantTools tools, ToolResults results, RunMetrics metrics, ILogger<ToolRunner> logger)
{
    /// <summary>Bytes of a result that a model gets.</summary>
    public const int MaxResultBytes = 64 * 1024;

    /// <summary>A tool of the tenant's by the name that workflows list.</summary>
    public ValueTask<ITool?> FindAsync(string tenantId, string name, CancellationToken cancellationToken) => tools.FindAsync(tenantId, name, cancellationToken);

    public PlannedCall Plan(CompiledAgent agent, ToolCall call, string idempotencyKey)
    {
        if (!agent.Tools.TryGetValue(call.Name, out BoundTool? tool))
        {
            string known = agent.Tools.Count == 0 ? "There are no tools." : $"There are: {string.Join(", ", agent.Tools.Keys.Order(StringComparer.Ordinal))}.";
            return new PlannedCall(call, idempotencyKey, null, default, ToolEffect.None, $"There is no tool '{call.Name}'. {known}");
        }
        string? error = registry.Check(tool.Tool, call.Arguments, out JsonElement arguments);
        return new PlannedCall(call, idempotencyKey, tool, arguments, error is null ? tool.Tool.EffectOf(arguments) : ToolEffect.None, error);
    }

    public async Task<CallResult> ExecuteAsync(RunRecord run, PlannedCall planned, CancellationToken cancellationToken)
    {
        if (planned.Error is not null)
        {
            metrics.ToolCalled(planned.Tool?.Tool.MetricName ?? "unknown", error: true);
            return new CallResult(planned.Error, true);
        }
        ITool tool = planned.Tool!.Tool;
        using Activity? activity = PlatformTelemetry.Activities.HasListeners() ? PlatformTelemetry.Activities.StartActivity($"execute_tool {tool.Name}") : null;
        activity?.SetTag("gen_ai.operation.name", "execute_tool").SetTag("gen_ai.tool.name", tool.Name).SetTag("gen_ai.tool.call.id", planned.Call.Id).SetTag("gen_ai.tool.type", "function");
        var context = new ToolContext { TenantId = run.TenantId, RunId = run.Id, Run = run, IdempotencyKey = planned.IdempotencyKey, ChildRunId = planned.ChildRunId, Settings = planned.Tool.Settings };
        try
        {
            ToolResult result = await tool.ExecuteAsync(context, planned.Arguments, cancellationToken);
            if (result.Rests is not null) return new CallResult("", false, Rests: result.Rests);
            if (result.IsError) activity?.SetStatus(ActivityStatusCode.Error);
            metrics.ToolCalled(tool.MetricName, result.IsError);
            return new CallResult(await FitAsync(run, tool, planned.IdempotencyKey, result.Text), result.IsError, result.Usage, result.CostUsd, RunId: result.RunId, Written: result.Written);
        }
        catch (ToolException e)
        {
            activity?.SetStatus(ActivityStatusCode.Error);
            metrics.ToolCalled(tool.MetricName, error: true);
            return new CallResult(Bound(e.Message), true, Code: e.Code, RunId: e.RunId);
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            activity?.SetStatus(ActivityStatusCode.Error);
            metrics.ToolCalled(tool.MetricName, error: true);
            LogFailed(e, tool.Name, run.Id);
            return new CallResult("The tool failed.", true);
        }
    }

    /// <summary>A result as a model gets it: of one that is too large, the beginning and where the rest is.</summary>
    private async ValueTask<string> FitAsync(RunRecord run, ITool tool, string key, string result)
    {
        string cut = Bound(result);
        if (ReferenceEquals(cut, result)) return result;
        byte[] content = Encoding.UTF8.GetBytes(result);
        try
        {
            // The call is made: its result is kept even when the run is being cancelled.
            string id = await results.KeepAsync(run.TenantId, run.Id, tool.Name, key, content, run.CreatedAt, CancellationToken.None);
            int shown = Encoding.UTF8.GetByteCount(cut.AsSpan(0, cut.LastIndexOf("\n[cut: ", StringComparison.Ordinal)));
            return $"{cut.AsSpan(0, cut.LastIndexOf("\n[cut: ", StringComparison.Ordinal))}\n[cut: this is the beginning of a result of {content.Length} bytes. Read on with {ReadToolResultTool.ToolName} {{\"id\":\"{id}\",\"offset\":{shown}}}]";
        }
        catch (Exception e)
        {
            LogNotKept(e, tool.Name, run.Id);
            return cut;
        }
    }

    /// <summary>Cuts a result to what a model gets, between characters, with a note.</summary>
    public static string Bound(string result)
    {
        if (result.Length <= MaxResultBytes / 3 || Encoding.UTF8.GetByteCount(result) <= MaxResultBytes) return result;
        byte[] buffer = new byte[MaxResultBytes];
        Encoding.UTF8.GetEncoder().Convert(result, buffer, flush: false, out int chars, out _, out _);
        return $"{result.AsSpan(0, chars)}\n[cut: the result is larger than {MaxResultBytes} bytes]";
    }

    [LoggerMessage(EventId = 1, EventName = "ToolFailed", Level = LogLevel.Error, Message = "Tool {Tool} failed in run {RunId}")]
    private partial void LogFailed(Exception e, string tool, string runId);

    [LoggerMessage(EventId = 2, EventName = "ToolResultNotKept", Level = LogLevel.Error, Message = "The large result of tool {Tool} in run {RunId} could not be kept; the model got its beginning only")]
    private partial void LogNotKept(Exception e, string tool, string runId);
}
