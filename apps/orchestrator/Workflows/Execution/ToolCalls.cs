using System.Text.Json;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tools;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>Calls of tools that a workflow makes: intended before, with a key; the result after. One without a result follows what the tool says of repeating it.</summary>
internal sealed class ToolCalls(Flow flow, FlowBoard board, RunServices services, ToolRunner tools)
{
    public async Task<JsonElement?> CallAsync(ToolStep step, StepContext context, string path, StepRecord record)
    {
        ITool tool = await tools.FindAsync(flow.Run.TenantId, step.Tool, context.Token) ?? throw new StepException(StepCodes.ToolNotFound, $"There is no tool '{step.Tool}'.", retryable: false);
        string arguments = step.Arguments?.Evaluate(context.Scope(flow.Run, record.StartedAt)).GetRawText() ?? "{}";
        if (services.Tools.Check(tool, arguments, out JsonElement parsed) is { } problem) throw new StepException(StepCodes.InvalidArguments, problem, retryable: false);
        if (record.Intended is { Effect: "unsafe" })
            throw new StepException(StepCodes.OutcomeUnknown, "The outcome of the call is unknown: the platform restarted while it was being made, and the tool must not be called twice.", retryable: false);
        // The same for every attempt: one that failed may have had its effect all the same.
        string key = $"{context.InPlaceOf ?? flow.Run.Id}{path}";
        ToolEffect effect = tool.EffectOf(parsed);
        var call = new ToolCall($"call_{record.Attempt}", step.Tool, arguments);
        if (record.Intended is null)
        {
            string name = ToolEffects.Of(effect);
            record.Intended = (key, name);
            record.Asked = ProgressGuard.Hash(arguments);
            await flow.Journal.AppendAsync(RunEventTypes.ToolCallIntended, path, (call, key, name), static (json, s) =>
            {
                json.WriteString("id"u8, s.call.Id);
                json.WriteString("name"u8, s.call.Name);
                json.WriteString("arguments"u8, s.call.Arguments);
                json.WriteString("idempotencyKey"u8, s.key);
                json.WriteString("effect"u8, s.name);
            });
        }
        var settings = new AgentTool { Name = step.Tool, AllowedHosts = step.Settings?.AllowedHosts, TimeoutSeconds = step.Settings?.TimeoutSeconds };
        Task<CallResult> calling = tools.ExecuteAsync(flow.Run, new PlannedCall(call, key, new BoundTool(tool, settings, null), parsed, effect, null), context.Token);
        CallResult result = await (context.Clock?.OutsideAsync(calling) ?? calling);
        if (result.Written is { } written) board.Written(path, record, written);
        flow.Journal.Add(RunEventTypes.ToolCallCompleted, path, (call, result), static (json, s) =>
        {
            json.WriteString("id"u8, s.call.Id);
            json.WriteString("name"u8, s.call.Name);
            json.WriteBoolean("isError"u8, s.result.IsError);
            RunLog.WriteCall(json, s.result);
        });
        // A call that must not be repeated is not left without its result for longer than it takes to write it.
        if (effect == ToolEffect.Unsafe) await flow.Journal.FlushAsync();
        flow.State.Spent(result.Usage, result.CostUsd);
        context.Meter?.Spent(result.Usage, result.CostUsd);
        if (result.IsError) throw new StepException(StepCodes.ToolFailed, result.Text);
        if (step.Tool == HttpRequestTool.ToolName && HttpAnswer.Parse(result.Text) is { } answer)
        {
            // A model reads the refusal and thinks again; a workflow has retries, onError and compensation for it.
            if (answer.Status >= 400) throw new StepException(StepCodes.ToolFailed, $"The host answered HTTP {answer.Status}.", answer.IsTransient);
            return answer.ToJson();
        }
        return JsonText.TryParse(result.Text) ?? JsonSerializer.SerializeToElement(result.Text);
    }
}
