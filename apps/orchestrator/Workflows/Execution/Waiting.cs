using System.Globalization;
using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>Steps that wait: for a person, an event or a time.</summary>
internal sealed class Waiting(Flow flow)
{
    public async Task<JsonElement?> HumanAsync(HumanStep step, StepContext context, string path, StepRecord record)
    {
        if (record.WaitId is null)
        {
            DateTimeOffset now = flow.Time.GetUtcNow();
            var scope = context.Scope(flow.Run, record.StartedAt);
            await BeginAsync(record, new RunWait
            {
                Id = Ids.New("wait", now),
                TenantId = flow.Run.TenantId,
                RunId = flow.Run.Id,
                Path = path,
                Kind = WaitKind.Human,
                Role = RoleName(step.Role),
                Title = step.Title.Evaluate(scope),
                Message = step.Message?.Evaluate(scope),
                Form = step.Form?.Source.GetRawText(),
                RequestedAt = now,
                ExpiresAt = now + step.Expires,
                EscalateAt = now + step.Escalate?.After,
                EscalateRole = step.Escalate is { } escalate ? RoleName(escalate.Role) : null,
            });
        }
        WaitResolution? resolution = await EndAsync(context, path, record);
        if (resolution is null)
        {
            if (step.OnExpire == ErrorAction.Fail) throw new StepException(StepCodes.Expired, "Nobody answered in time.", retryable: false);
            return JsonSerializer.SerializeToElement(new { decision = "expired" });
        }
        return JsonSerializer.SerializeToElement(new
        {
            decision = resolution.Decision,
            by = resolution.By,
            comment = resolution.Comment,
            answer = resolution.Data is null ? null : JsonText.TryParse(resolution.Data),
        });
    }

    public async Task<JsonElement?> WaitAsync(WaitStep step, StepContext context, string path, StepRecord record)
    {
        if (step.Event is not null || step.Webhook)
        {
            if (record.WaitId is null)
            {
                DateTimeOffset now = flow.Time.GetUtcNow();
                JsonElement? match = step.Match?.Evaluate(context.Scope(flow.Run, record.StartedAt));
                string? token = step.Webhook ? HookToken.New(flow.Run.TenantId) : null;
                await BeginAsync(record, new RunWait
                {
                    Id = Ids.New("wait", now),
                    TenantId = flow.Run.TenantId,
                    RunId = flow.Run.Id,
                    Path = path,
                    Kind = WaitKind.Event,
                    Name = token is null ? step.Event : HookToken.NameOf(token),
                    Key = match is { } key ? KeyOf(key) : null,
                    RequestedAt = now,
                    ExpiresAt = now + step.Policy.Timeout,
                }, token);
            }
            WaitResolution resolution = await EndAsync(context, path, record)
                ?? throw new StepException(StepCodes.Timeout, step.Webhook ? "Nobody called the webhook in time." : $"The event '{step.Event}' did not come in time.", retryable: false);
            return resolution.Data is null ? null : JsonText.TryParse(resolution.Data);
        }
        if (record.Until is null)
        {
            record.Until = step.Delay is { } delay ? record.StartedAt + delay : Time(step.Until!.Evaluate(context.Scope(flow.Run, record.StartedAt)));
            await flow.Journal.AppendAsync(RunEventTypes.TimerSet, path, record.Until.Value, static (json, until) => json.WriteString("until"u8, until));
        }
        await UntilAsync(null, record.Until, context);
        return null;
    }

    /// <summary>Waits for the end of a run of this step that rests itself, e.g. for a person's consent to a call.</summary>
    public async Task ChildAsync(RunRecord child, StepContext context, string path, StepRecord record)
    {
        if (record.WaitId is null)
        {
            DateTimeOffset now = flow.Time.GetUtcNow();
            await BeginAsync(record, new RunWait { Id = Ids.New("wait", now), TenantId = flow.Run.TenantId, RunId = flow.Run.Id, Path = path, Kind = WaitKind.Child, Name = child.Id, RequestedAt = now });
            // It may have ended in between: then nobody tells.
            return;
        }
        await EndAsync(context, path, record);
    }

    /// <summary>The text that an event's key is compared with: a string as it is, anything else as JSON.</summary>
    public static string KeyOf(JsonElement value) => value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();

    public static string RoleName(Contracts.Identity.Role role) => role.ToString().ToLowerInvariant();

    private Task BeginAsync(StepRecord record, RunWait wait, string? hookToken = null)
    {
        (record.WaitId, record.Until) = (wait.Id, wait.ExpiresAt);
        return flow.Journal.BeginWaitAsync(wait, (wait, hookToken), static (json, s) =>
        {
            RunWait w = s.wait;
            json.WriteString("waitId"u8, w.Id);
            json.WriteString("kind"u8, WaitNames.Of(w.Kind));
            if (s.hookToken is not null) json.WriteString("hook"u8, $"{HookToken.Path}{s.hookToken}");
            else if (w.Name is not null) json.WriteString(w.Kind == WaitKind.Child ? "runId"u8 : "event"u8, w.Name);
            if (w.Key is not null) json.WriteString("key"u8, w.Key);
            if (w.Title is not null) json.WriteString("title"u8, w.Title);
            if (w.Role is not null) json.WriteString("role"u8, w.Role);
            if (w.ExpiresAt is { } expires) json.WriteString("expiresAt"u8, expires);
        });
    }

    /// <summary>What came of the wait; null when its time is up.</summary>
    private async Task<WaitResolution?> EndAsync(StepContext context, string path, StepRecord record)
    {
        if (record.Expired) return null;
        if (record.Resolution is { } known) return known;
        WaitEnd end;
        try
        {
            end = await UntilAsync(record.WaitId, record.Until, context);
        }
        catch (OperationCanceledException) when (!flow.Live.Abandoned.IsCancellationRequested)
        {
            // Nobody is to be asked any more for what is not needed.
            await flow.Journal.EndWaitAsync(RunEventTypes.WaitExpired, path, record.WaitId!, record.WaitId!, static (json, id) => json.WriteString("waitId"u8, id));
            throw;
        }
        record.Resolution = end.Resolution;
        record.Expired = end.Resolution is null;
        await flow.Journal.EndWaitAsync(record.Expired ? RunEventTypes.WaitExpired : RunEventTypes.WaitResolved, path, record.WaitId!, (record.WaitId, end.Resolution), static (json, s) =>
        {
            json.WriteString("waitId"u8, s.WaitId);
            if (s.Resolution is not { } resolution) return;
            json.WriteString("decision"u8, resolution.Decision);
            if (resolution.By is not null) json.WriteString("by"u8, resolution.By);
            if (resolution.Comment is not null) json.WriteString("comment"u8, resolution.Comment);
            if (resolution.Data is null) return;
            json.WritePropertyName("data"u8);
            json.WriteRawValue(resolution.Data);
        });
        return end.Resolution;
    }

    private async Task<WaitEnd> UntilAsync(string? waitId, DateTimeOffset? until, StepContext context)
    {
        bool bounded = context.Deadline is { } deadline && !(until <= deadline);
        WaitEnd end = await flow.Waits.WaitAsync(waitId, bounded ? context.Deadline : until, context.Token);
        // The time of something around it is up, which is about to be told.
        if (bounded && end.Resolution is null) await Task.Delay(Timeout.Infinite, context.Token);
        return end;
    }

    private static DateTimeOffset Time(string text) => DateTimeOffset.TryParse(text.Trim(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset time) ? time
        : throw new StepException(StepCodes.Template, $"'until' gives '{(text.Length > 100 ? text[..100] : text)}', which is no time.", retryable: false);
}
