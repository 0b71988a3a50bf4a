using System.Buffers;
using System.Collections.Frozen;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Providers;
using MultiAgent.Models.Tokens;
using MultiAgent.Models.Upstream;
using MultiAgent.Models.Usage;

namespace MultiAgent.Models.Dispatch;

/// <summary>Resolves a model, walks its deployments and fallbacks until one answers, and meters what was used.</summary>
internal sealed partial class ModelDispatcher(
    ModelCatalogueSource catalogue, IEnumerable<IModelProvider> providers, DeploymentHealthRegistry health, ModelMetrics metrics,
    IUsageSink sink, IOptions<ResilienceOptions> resilience, TimeProvider time, ILogger<ModelDispatcher> logger) : IModelDispatcher
{
    private const int MaxErrorBody = 64 * 1024;

    // For a provider that says 429 without saying for how long.
    private static readonly TimeSpan DefaultPause = TimeSpan.FromSeconds(1);

    private readonly FrozenDictionary<string, IModelProvider> _providers = providers.ToFrozenDictionary(p => p.Type, StringComparer.OrdinalIgnoreCase);
    private readonly ResilienceOptions _resilience = resilience.Value;
    private uint _turn;

    public TimeProvider Time => time;

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<ModelExchange> SendAsync(ModelCall call, CancellationToken cancellationToken)
    {
        // What could not be metered is not done: money is in play.
        if (!sink.IsAccepting) throw new ModelException(503, ErrorCodes.Overloaded, "Usage cannot be stored at the moment.") { RetryAfter = TimeSpan.FromSeconds(5) };
        ModelCatalogue models = catalogue.Current;
        var walk = new Walk(Candidates(models, call.Envelope.Model), call.Fallbacks);
        while (walk.Next(models) is { } model)
        {
            for (int retry = 0; retry <= _resilience.MaxRetries; retry++)
            {
                // With one deployment there is no other to turn to: wait as long as the provider asked, or back off.
                if (retry > 0 && model.Deployments.Count == 1) await BackOffAsync(retry, walk, cancellationToken);
                Deployment? deployment = PickDeployment(model);
                if (deployment is null && retry > 0 && model.Deployments.Count > 1)
                {
                    await BackOffAsync(retry, walk, cancellationToken);
                    deployment = PickDeployment(model);
                }
                if (deployment is null)
                {
                    NoneHealthy(model, walk);
                    break;
                }
                if (await AttemptAsync(call, model, deployment, walk, cancellationToken) is { } answer)
                {
                    if (walk.InFallbacks && answer.StatusCode < 400) FellBack(walk.First, model);
                    return answer;
                }
                if (!walk.Retry) break;
            }
        }
        return walk.Refused ?? throw walk.Failure();
    }

    /// <summary>Writes the usage record and metrics of one attempt.</summary>
    internal void Record(ModelCall call, ModelEntry model, Deployment deployment, in Attempt attempt, in TokenUsage usage, string status, string? errorCode)
    {
        TimeSpan duration = time.GetElapsedTime(attempt.Started);
        TimeSpan? first = attempt.FirstByte == 0 ? null : time.GetElapsedTime(attempt.Started, attempt.FirstByte);
        decimal? cost = model.Price?.Cost(usage);
        string operation = call.Operation == ModelOperation.Chat ? "chat" : "embeddings";
        if (status == "cancelled") health.Of(deployment).Abandoned();
        else if (status == "ok") health.Of(deployment).Succeeded();
        if (attempt.Span is { } span) ModelTelemetry.End(span, usage, cost, status, errorCode, first);
        metrics.Completed(model, operation, status, usage, cost, duration, first);
        DateTimeOffset now = time.GetUtcNow();
        sink.Record(new UsageRecord
        {
            Id = Ids.New("use", now),
            TenantId = call.Usage.TenantId,
            ApiKeyId = call.Usage.ApiKeyId,
            UserId = call.Usage.UserId,
            RequestId = call.Usage.RequestId,
            RunId = call.Usage.RunId,
            Agent = call.Usage.Agent,
            Operation = operation,
            RequestedModel = call.Envelope.Model,
            Model = model.Id,
            Provider = model.Provider,
            InputTokens = usage.InputTokens,
            CachedInputTokens = usage.CachedInputTokens,
            CacheWriteTokens = usage.CacheWriteTokens,
            OutputTokens = usage.OutputTokens,
            ReasoningTokens = usage.ReasoningTokens,
            Estimated = usage.Estimated,
            CostUsd = cost,
            Status = status,
            ErrorCode = errorCode,
            Stream = call.Envelope.Stream,
            Attempt = attempt.Number,
            LatencyMs = Math.Round(duration.TotalMilliseconds, 3),
            FirstTokenMs = first is { } f ? Math.Round(f.TotalMilliseconds, 3) : null,
            At = now - duration,
        });
    }

    internal TokenUsage Estimate(ModelCall call, StreamFilter? filter) => UsageEstimator.Estimate(call, filter);

    /// <summary>The provider told an error inside its stream.</summary>
    internal void StreamFailed(Deployment deployment)
    {
        health.Of(deployment).Failed();
        metrics.Error(deployment.Provider, "stream_error");
    }

    /// <summary>A stream broke after its first byte: too late for another attempt, but not for the breaker.</summary>
    internal void StreamBroke(Deployment deployment, UpstreamException e)
    {
        health.Of(deployment).Failed();
        metrics.Error(deployment.Provider, "stream_interrupted");
        LogStreamBroke(deployment.Id, e.Failure);
    }

    private static IReadOnlyList<ModelEntry> Candidates(ModelCatalogue models, string name)
    {
        IReadOnlyList<ModelEntry> candidates = name switch
        {
            "auto" or "auto/balanced" => models.AutoCandidates(ModelTier.Balanced),
            "auto/fast" => models.AutoCandidates(ModelTier.Fast),
            "auto/strong" => models.AutoCandidates(ModelTier.Strong),
            _ => models.Resolve(name) is { } entry ? [entry] : [],
        };
        if (candidates.Count == 0 && name.StartsWith("auto", StringComparison.Ordinal))
            throw new ModelException(404, ErrorCodes.ModelNotFound, "'auto' has no model to choose from: no configured provider has a chat model in the catalogue. Name one as 'provider/model', or list it under Models:Catalogue.");
        return candidates.Count > 0 ? candidates : throw new ModelException(404, ErrorCodes.ModelNotFound,
            $"The model '{(name.Length > 100 ? name[..100] : name)}' does not exist here. GET /v1/models lists what there is; an unlisted model of a configured provider is reachable as 'provider/model'.");
    }

    private void FellBack(ModelEntry requested, ModelEntry fallback)
    {
        metrics.FellBack(fallback);
        LogFellBack(requested.Id, fallback.Id);
    }

    /// <summary>One attempt. Null: it failed, and <paramref name="walk"/> says whether to try again.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ModelExchange?> AttemptAsync(ModelCall call, ModelEntry model, Deployment deployment, Walk walk, CancellationToken cancellationToken)
    {
        DeploymentHealth state = health.Of(deployment);
        long started = time.GetTimestamp();
        int number = walk.Attempts++;
        ProviderResponse? response = null;
        bool handedOver = false, judged = false;
        Activity? span = ModelTelemetry.Start(call, model, deployment, number);
        try
        {
            response = await _providers[deployment.ProviderType].SendAsync(
                new ProviderCall { Deployment = deployment, Operation = call.Operation, Body = call.Body, Envelope = call.Envelope }, cancellationToken);
            if (response.StatusCode is >= 200 and < 300)
            {
                LiveExchange exchange = await BeginAsync(call, model, deployment, response, new Attempt(number, started, 0) { Span = span }, cancellationToken);
                state.Answered(exchange.UpstreamTime);
                handedOver = judged = true;
                return exchange;
            }
            ModelExchange? refused = await RefusedAsync(call, model, deployment, response, new Attempt(number, started, 0) { Span = span }, walk);
            judged = true;
            return refused;
        }
        catch (UpstreamException e)
        {
            state.Failed();
            judged = true;
            string kind = e.Failure.ToString();
            metrics.Error(deployment.Provider, kind);
            LogAttemptFailed(deployment.Id, number, kind, e.InnerException?.Message ?? e.Message);
            // A provider that fell silent has read the prompt, and charges for it.
            Record(call, model, deployment, new Attempt(number, started, 0) { Span = span }, e.MayHaveBeenRead ? Estimate(call, null) : default, "error", walk.Fail(e));
            return null;
        }
        catch (OperationCanceledException e)
        {
            // The client left before the answer began: what the provider may have read is metered as an estimate.
            Record(call, model, deployment, new Attempt(number, started, 0) { Span = span }, e is ConnectCanceledException ? default : Estimate(call, null), "cancelled", null);
            throw;
        }
        finally
        {
            // A probe that said nothing of the deployment must let the next one try.
            if (!judged) state.Abandoned();
            if (!handedOver && response is not null) await response.DisposeAsync();
        }
    }

    /// <summary>Waits for the first byte of the body, and for all of it where it is not a stream: until then another attempt can be made.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<LiveExchange> BeginAsync(ModelCall call, ModelEntry model, Deployment deployment, ProviderResponse response, Attempt attempt, CancellationToken cancellationToken)
    {
        if (call.Operation == ModelOperation.Chat && response.IsEventStream != call.Envelope.Stream)
            throw new UpstreamException(UpstreamFailure.InvalidResponse, call.Envelope.Stream ? "The provider did not stream its answer." : "The provider streamed an answer that was not to be streamed.");
        ReadResult read = await response.Body.ReadAsync(cancellationToken);
        long firstByte = time.GetTimestamp();
        if (response.IsEventStream)
        {
            if (read.Buffer.IsEmpty && read.IsCompleted) throw new UpstreamException(UpstreamFailure.InvalidResponse, "The provider sent an empty stream.");
            response.Body.AdvanceTo(read.Buffer.Start);
            return new LiveExchange(this, call, model, deployment, response, attempt with { FirstByte = firstByte });
        }
        while (!read.IsCompleted)
        {
            response.Body.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (time.GetElapsedTime(attempt.Started) > deployment.Timeouts.Total) throw new UpstreamException(UpstreamFailure.TotalTimeout, "The answer took longer than allowed.");
            read = await response.Body.ReadAsync(cancellationToken);
        }
        ReadOnlySequence<byte> body = read.Buffer;
        TokenUsage? usage = CheckJson(body.IsSingleSegment ? body.FirstSpan : body.ToArray());
        response.Body.AdvanceTo(body.Start);
        var exchange = new LiveExchange(this, call, model, deployment, response, attempt with { FirstByte = firstByte });
        exchange.Complete(usage ?? UsageEstimator.Estimate(call, body.ToArray()));
        return exchange;
    }

    /// <summary>The usage in a JSON answer; null when it reports none.</summary>
    /// <exception cref="UpstreamException">This is no JSON object.</exception>
    private static TokenUsage? CheckJson(ReadOnlySpan<byte> body)
    {
        ReadOnlySpan<byte> trimmed = body.Trim(" \t\r\n"u8);
        if (trimmed.Length < 2 || trimmed[0] != '{' || trimmed[^1] != '}')
            throw new UpstreamException(UpstreamFailure.InvalidResponse, "The provider's answer is not a JSON object.");
        return UsageReader.TryFindLast(trimmed, out TokenUsage usage, out _) ? usage : null;
    }

    /// <summary>The provider said no: decides whether another attempt can mend it, or the client must.</summary>
    private async ValueTask<ModelExchange?> RefusedAsync(ModelCall call, ModelEntry model, Deployment deployment, ProviderResponse response, Attempt attempt, Walk walk)
    {
        int status = response.StatusCode;
        byte[] body = await ReadErrorAsync(response.Body);
        DeploymentHealth state = health.Of(deployment);
        metrics.Error(deployment.Provider, status switch { 429 => "rate_limited", >= 500 => "server_error", 401 or 403 => "authentication", _ => "client_error" });
        LogRefused(deployment.Id, attempt.Number, status);
        ProviderRefusal refusal = ProviderRefusal.Of(status, body, response.RetryAfter);
        // Providers do not charge for what they refuse; one that does says so in its answer.
        Record(call, model, deployment, attempt, UsageReader.TryFindLast(body, out TokenUsage reported, out _) ? reported : default, "error", refusal.Code);
        switch (refusal.Kind)
        {
            case RefusalKind.Pause:
                refusal = refusal with { RetryAfter = refusal.RetryAfter ?? DefaultPause };
                state.CoolDown(refusal.RetryAfter.Value, rateLimited: true);
                walk.Fail(refusal, retry: MayWait(model, refusal));
                return null;
            case RefusalKind.Transient:
                state.Failed();
                if (refusal.RetryAfter is { } pause) state.CoolDown(pause, rateLimited: false);
                walk.Fail(refusal, retry: MayWait(model, refusal));
                return null;
            case RefusalKind.Deployment:
                // Our key or deployment is at fault, which the client cannot mend and need not see.
                state.Failed();
                walk.Fail(refusal, retry: model.Deployments.Count > 1);
                return null;
            case RefusalKind.OtherModelMayServe:
                state.Succeeded();
                walk.Fail(refusal, retry: false);
                walk.Refused = new RefusedExchange(model, status, refusal.Body, attempt.Number);
                return null;
            default:
                state.Succeeded();
                return new RefusedExchange(model, status, refusal.Body, attempt.Number);
        }
    }

    // Longer than the operator lets a client wait, only another deployment is worth a try.
    private bool MayWait(ModelEntry model, ProviderRefusal refusal) =>
        model.Deployments.Count > 1 || (refusal.RetryAfter ?? TimeSpan.Zero) <= TimeSpan.FromSeconds(_resilience.MaxRetryAfterSeconds);

    private static async ValueTask<byte[]> ReadErrorAsync(PipeReader body)
    {
        try
        {
            while (true)
            {
                ReadResult read = await body.ReadAsync();
                if (read.IsCompleted || read.Buffer.Length > MaxErrorBody)
                {
                    byte[] bytes = read.Buffer.Slice(0, Math.Min(read.Buffer.Length, MaxErrorBody)).ToArray();
                    body.AdvanceTo(read.Buffer.End);
                    return bytes;
                }
                body.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            }
        }
        catch (UpstreamException)
        {
            // The status says enough.
            return [];
        }
    }

    private Deployment? PickDeployment(ModelEntry model)
    {
        IReadOnlyList<Deployment> deployments = model.Deployments;
        if (deployments.Count == 1) return health.Of(deployments[0]).TryEnter() ? deployments[0] : null;
        int total = 0;
        for (int i = 0; i < deployments.Count; i++) total += deployments[i].Weight;
        // A stride that shares no factor with common totals spreads the weights instead of running through them in blocks.
        int point = (int)(Interlocked.Increment(ref _turn) * 2654435769u % (uint)total);
        int first = 0;
        while (point >= deployments[first].Weight) point -= deployments[first++].Weight;
        for (int i = 0; i < deployments.Count; i++)
        {
            Deployment deployment = deployments[(first + i) % deployments.Count];
            if (health.Of(deployment).TryEnter()) return deployment;
        }
        return null;
    }

    private void NoneHealthy(ModelEntry model, Walk walk)
    {
        bool paused = true;
        TimeSpan next = TimeSpan.MaxValue;
        foreach (Deployment deployment in model.Deployments)
        {
            DeploymentHealth state = health.Of(deployment);
            paused &= state.RateLimited;
            if (state.BlockedFor < next) next = state.BlockedFor;
        }
        walk.NoneHealthy(model.Id, paused, next);
    }

    private Task BackOffAsync(int retry, Walk walk, CancellationToken cancellationToken)
    {
        TimeSpan most = TimeSpan.FromSeconds(_resilience.MaxRetryAfterSeconds);
        TimeSpan wait;
        // A little more than asked, since the cooldown ends on another clock reading.
        if (walk.RetryAfter is { } asked) wait = asked <= most ? asked + TimeSpan.FromMilliseconds(10) : TimeSpan.Zero;
        else
        {
            double full = _resilience.BackoffMilliseconds * Math.Pow(2, retry - 1);
            wait = TimeSpan.FromMilliseconds(full * (0.5 + Random.Shared.NextDouble() / 2));
        }
        return wait > TimeSpan.Zero ? Task.Delay(wait, time, cancellationToken) : Task.CompletedTask;
    }

    [LoggerMessage(EventId = 1, EventName = "ModelAttemptFailed", Level = LogLevel.Warning, Message = "Attempt {Attempt} at {Deployment} failed: {Kind} ({Detail})")]
    private partial void LogAttemptFailed(string deployment, int attempt, string kind, string detail);

    [LoggerMessage(EventId = 2, EventName = "ModelRefused", Level = LogLevel.Warning, Message = "Attempt {Attempt} at {Deployment} was refused with status {Status}")]
    private partial void LogRefused(string deployment, int attempt, int status);

    [LoggerMessage(EventId = 3, EventName = "ModelFellBack", Level = LogLevel.Warning, Message = "{Requested} did not answer, {Fallback} did")]
    private partial void LogFellBack(string requested, string fallback);

    [LoggerMessage(EventId = 4, EventName = "ModelStreamBroke", Level = LogLevel.Warning, Message = "A stream of {Deployment} broke off: {Failure}")]
    private partial void LogStreamBroke(string deployment, UpstreamFailure failure);
}
