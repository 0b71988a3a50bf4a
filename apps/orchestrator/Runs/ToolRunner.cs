using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using MultiAgent.Hosting.Telemetry;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Tools;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>A call as it is going to be made: checked, or with the error that the model gets instead.</summary>
internal sealed record PlannedCall(ToolCall Call, string IdempotencyKey, BoundTool? Tool, JsonElement Arguments, ToolEffect Effect, string? Error);

/// <summary>The result of a call, for the model.</summary>
internal readonly record struct CallResult(string Text, bool IsError);

/// <summary>Checks and makes calls of built-in tools. Whatever goes wrong becomes a result that the model can act on.</summary>
internal sealed partial class ToolRunner(ToolRegistry registry, RunMetrics metrics, ILogger<ToolRunner> logger)
{
    /// <summary>Bytes of a result that a model gets.</summary>
    public const int MaxResultBytes = 64 * 1024;

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
            metrics.ToolCalled(planned.Tool?.Tool.Name ?? "unknown", error: true);
            return new CallResult(planned.Error, true);
        }
        ITool tool = planned.Tool!.Tool;
        using Activity? activity = PlatformTelemetry.Activities.HasListeners() ? PlatformTelemetry.Activities.StartActivity($"execute_tool {tool.Name}") : null;
        activity?.SetTag("gen_ai.operation.name", "execute_tool").SetTag("gen_ai.tool.name", tool.Name).SetTag("gen_ai.tool.call.id", planned.Call.Id).SetTag("gen_ai.tool.type", "function");
        var context = new ToolContext { TenantId = run.TenantId, RunId = run.Id, IdempotencyKey = planned.IdempotencyKey, Settings = planned.Tool.Settings, User = RunUser.Of(run), Agent = run.Agent, ConversationId = run.ConversationId };
        try
        {
            string result = await tool.ExecuteAsync(context, planned.Arguments, cancellationToken);
            metrics.ToolCalled(tool.Name, error: false);
            return new CallResult(Bound(result), false);
        }
        catch (ToolException e)
        {
            activity?.SetStatus(ActivityStatusCode.Error);
            metrics.ToolCalled(tool.Name, error: true);
            return new CallResult(Bound(e.Message), true);
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            activity?.SetStatus(ActivityStatusCode.Error);
            metrics.ToolCalled(tool.Name, error: true);
            LogFailed(e, tool.Name, run.Id);
            return new CallResult("The tool failed.", true);
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
}
