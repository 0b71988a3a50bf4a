using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>
/// Several agents that work together. Each answer has a place in the log of its own, so that a pattern that was interrupted goes on with the next one. What
/// agents have to say to the platform (who speaks next, a plan, a handoff) they say in text, which any model can do.
/// </summary>
internal sealed partial class Patterns(Flow flow, FlowBoard board, FlowProgress progress, AgentCalls agents)
{
    public Task<JsonElement?> RunAsync(Step step, StepContext context, StepRecord record)
    {
        var scope = context.Scope(flow.Run, record.StartedAt);
        return step switch
        {
            GroupChatStep chat => GroupChatAsync(chat, context, record, chat.Message.Evaluate(scope)),
            DebateStep debate => DebateAsync(debate, context, debate.Message.Evaluate(scope)),
            PlanStep plan => PlanAsync(plan, context, plan.Message.Evaluate(scope)),
            _ => HandoffAsync((HandoffStep)step, context, ((HandoffStep)step).Message.Evaluate(scope)),
        };
    }

    private async Task<JsonElement?> GroupChatAsync(GroupChatStep step, StepContext context, StepRecord record, string message)
    {
        var said = new List<(string Agent, string Content)>();
        int perRound = step.Manager is null ? step.Agents.Count : 1;
        ProgressGuard guard = progress.Rounds();
        for (int turn = 0; turn < step.MaxRounds * perRound; turn++)
        {
            TargetReference? speaker = step.Manager is null ? step.Agents[turn % step.Agents.Count] : await ChooseAsync(step, context, message, said, turn);
            if (speaker is null) break;
            string content = await TextAsync(Place(context, turn, speaker), context, speaker, $"{message}\n\n{Transcript(said)}You are {speaker.Slug}. Say what you have to add.");
            said.Add((speaker.Slug, content));
            StepContext after = context.With("last", JsonSerializer.SerializeToElement(new { agent = speaker.Slug, content })).With("round", turn / perRound);
            if (step.StopWhen is { } stop && stop.Evaluate((await board.SeeAsync(context.Of($"{turn}#stop"), after)).Scope(flow.Run, record.StartedAt))) break;
            if ((turn + 1) % perRound == 0) progress.Check(guard, "group_chat", context, [.. said.TakeLast(perRound).SelectMany(s => (string[])[s.Agent, s.Content])]);
        }
        return JsonSerializer.SerializeToElement(new { messages = said.Select(s => new { agent = s.Agent, content = s.Content }), final = said.Count > 0 ? said[^1].Content : null });
    }

    /// <summary>Who speaks next; null when the manager ends the talk. A manager who names nobody leaves it to the one whose turn it would be.</summary>
    private async Task<TargetReference?> ChooseAsync(GroupChatStep step, StepContext context, string message, List<(string, string)> said, int turn)
    {
        string names = string.Join(", ", step.Agents.Select(a => a.Slug));
        string choice = await TextAsync(context.Of($"{turn}/manager"), context, step.Manager!,
            $"You lead a talk between: {names}.\nIt is about:\n{message}\n\n{Transcript(said)}Who speaks next? Answer with one name, or with DONE when nothing is missing.");
        if (choice.Trim().StartsWith("DONE", StringComparison.OrdinalIgnoreCase)) return null;
        return step.Agents.MinBy(a => choice.IndexOf(a.Slug, StringComparison.OrdinalIgnoreCase) is >= 0 and var at ? at : int.MaxValue) is { } named
            && choice.Contains(named.Slug, StringComparison.OrdinalIgnoreCase) ? named : step.Agents[turn % step.Agents.Count];
    }

    private async Task<JsonElement?> DebateAsync(DebateStep step, StepContext context, string message)
    {
        var last = new string[step.Agents.Count];
        for (int round = 0; round < step.Rounds; round++)
        {
            string[] before = [.. last];
            for (int i = 0; i < step.Agents.Count; i++)
            {
                string others = round == 0 ? "" : $"\n\nThe others say:\n{string.Join("\n", step.Agents.Select((a, k) => (a, k)).Where(x => x.k != i).Select(x => $"{x.a.Slug}: {before[x.k]}"))}\n\nArgue your case again, and change your mind where they are right.";
                last[i] = await TextAsync(Place(context, round, step.Agents[i], i), context, step.Agents[i], message + others);
            }
        }
        string cases = string.Join("\n", step.Agents.Select((a, i) => $"{a.Slug}: {last[i]}"));
        return await agents.AskAsync(context.Of("judge"), context, step.Judge, $"{message}\n\nThese answers were given:\n{cases}\n\nDecide, and give the answer.");
    }

    private async Task<JsonElement?> PlanAsync(PlanStep step, StepContext context, string message)
    {
        var done = new List<(string Task, string Result)>();
        int tasks = 0;
        for (int version = 0; ; version++)
        {
            string left = done.Count == 0 ? "" : "\n\nPlan what is left.";
            IReadOnlyList<string> plan = TasksOf(await agents.AskAsync(context.Of($"plan{version}"), context, step.Planner,
                $"{message}{Report("Done so far", done)}{left}\n\nMake a plan of at most {step.MaxTasks - tasks} tasks. Answer with a JSON array of strings, and nothing else."));
            bool failed = false;
            for (int i = 0; i < plan.Count && !failed; i++)
            {
                if (++tasks > step.MaxTasks) throw new StepException(StepCodes.LimitReached, $"The plan has more than {step.MaxTasks} tasks.", retryable: false);
                (failed, string result) = await TryAsync(context.Of($"plan{version}/{i.ToString(CultureInfo.InvariantCulture)}"), context, step.Executor, $"The whole: {message}{Report("Done so far", done)}\n\nYour task: {plan[i]}");
                done.Add((plan[i], failed ? $"FAILED: {result}" : result));
            }
            if (!failed) break;
            if (version >= step.MaxReplans) throw new StepException(StepCodes.AgentFailed, $"The plan failed after {version} changes: {done[^1].Result}", retryable: false);
        }
        return await agents.AskAsync(context.Of("answer"), context, step.Planner, $"{message}{Report("All tasks are done", done)}\n\nGive the final answer.");
    }

    private static string Report(string title, List<(string Task, string Result)> done) =>
        done.Count == 0 ? "" : $"\n\n{title}:\n{string.Join("\n", done.Select(d => $"- {d.Task}: {d.Result}"))}";

    /// <summary>A task that fails is an outcome that the planner sees. It is in the log, so that it is the same again.</summary>
    private async Task<(bool Failed, string Result)> TryAsync(string path, StepContext context, TargetReference agent, string message)
    {
        StepRecord record = flow.State.At(path + "/task");
        if (record.Status == StepStatus.Failed) return (true, record.ErrorMessage!);
        try
        {
            return (false, await TextAsync(path, context, agent, message));
        }
        catch (StepException e) when (e.Retryable)
        {
            (record.Status, record.ErrorCode, record.ErrorMessage) = (StepStatus.Failed, e.Code, e.Message);
            await flow.Journal.AppendAsync(RunEventTypes.StepFailed, path + "/task", e, static (json, e) =>
            {
                json.WriteString("code"u8, e.Code);
                json.WriteString("message"u8, e.Message);
            });
            return (true, e.Message);
        }
    }

    private async Task<JsonElement?> HandoffAsync(HandoffStep step, StepContext context, string message)
    {
        TargetReference current = step.Start;
        ProgressGuard guard = progress.Handoffs();
        var said = new List<(string Agent, string Content)>();
        for (int turn = 0; ; turn++)
        {
            TargetReference[] others = [.. step.Agents.Append(step.Start).Where(a => a.Slug != current.Slug).DistinctBy(a => a.Slug)];
            IEnumerable<(string, string)> seen = step.Visible switch { HandoffView.All => said, HandoffView.Last => said.TakeLast(1), _ => [] };
            string rule = turn >= step.MaxHandoffs ? "" : $"\n\nIf another agent should answer, write HANDOFF: and its name alone. There are: {string.Join(", ", others.Select(o => o.Slug))}.";
            string content = await TextAsync(Place(context, turn, current), context, current, $"{message}\n\n{Transcript(seen)}{rule}".Trim(), said.Count > 0 ? said[^1].Agent : null);
            Match handoff = Handoff().Match(content);
            TargetReference? next = handoff.Success ? others.FirstOrDefault(o => o.Slug == handoff.Groups[1].Value) : null;
            if (next is null || turn >= step.MaxHandoffs) return JsonSerializer.SerializeToElement(content);
            string note = content.Remove(handoff.Index, handoff.Length).Trim();
            said.Add((current.Slug, note.Length == 0 ? $"(hands over to {next.Slug})" : note));
            progress.Check(guard, "handoff", context, current.Slug, next.Slug, note);
            current = next;
        }
    }

    private async Task<string> TextAsync(string path, StepContext context, TargetReference agent, string message, string? from = null)
    {
        JsonElement answer = await agents.AskAsync(path, context, agent, message, from: from);
        return answer.ValueKind == JsonValueKind.String ? answer.GetString()! : answer.GetRawText();
    }

    private static string Place(StepContext context, int turn, TargetReference agent, int? index = null) =>
        context.Of(string.Create(CultureInfo.InvariantCulture, $"{turn}/{index?.ToString(CultureInfo.InvariantCulture)}{agent.Slug}"));

    private static string Transcript(IEnumerable<(string Agent, string Content)> said)
    {
        var text = new StringBuilder();
        foreach ((string agent, string content) in said) text.Append(CultureInfo.InvariantCulture, $"{agent}: {content}\n");
        return text.Length == 0 ? "" : $"What was said so far:\n{text}\n";
    }

    private static IReadOnlyList<string> TasksOf(JsonElement answer)
    {
        string text = answer.ValueKind == JsonValueKind.String ? answer.GetString()! : answer.GetRawText();
        int from = text.IndexOf('['), to = text.LastIndexOf(']');
        JsonElement? list = from >= 0 && to > from ? JsonText.TryParse(text[from..(to + 1)]) : null;
        return list is { ValueKind: JsonValueKind.Array } tasks ? [.. tasks.EnumerateArray().Select(t => t.ValueKind == JsonValueKind.String ? t.GetString()! : t.GetRawText())]
            : throw new StepException(StepCodes.InvalidOutput, "The planner gave no list of tasks.");
    }

    [GeneratedRegex(@"^[ \t]*HANDOFF:[ \t]*([a-z0-9][a-z0-9-]*)[ \t]*$", RegexOptions.Multiline)]
    private static partial Regex Handoff();
}
