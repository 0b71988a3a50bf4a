using MultiAgent.Contracts;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Upstream;

namespace MultiAgent.Models.Dispatch;

/// <summary>The models that one request may be answered by, in turn, and what it would tell the client if nothing more came.</summary>
/// <param name="candidates">What the requested name stands for; at least one.</param>
/// <param name="fallbacks">Names to try after them, before the first candidate's own fallbacks.</param>
internal sealed class Walk(IReadOnlyList<ModelEntry> candidates, IReadOnlyList<string> fallbacks)
{
    // Bounds the walk when fallbacks name each other.
    private const int MaxModels = 8;

    private ModelException? _failure;
    private List<ModelEntry>? _tried;
    private int _next;

    public ModelEntry First => candidates[0];

    /// <summary>True once the candidates are used up.</summary>
    public bool InFallbacks => _next > candidates.Count;

    /// <summary>The next model that was not tried yet; null when none is left.</summary>
    public ModelEntry? Next(ModelCatalogue models)
    {
        // Nearly every request ends with its first model, and needs no list.
        if (_next == 0) return candidates[_next++];
        _tried ??= [First];
        int count = candidates.Count + fallbacks.Count + First.Fallbacks.Count;
        while (_next < count)
        {
            int i = _next++;
            if (i >= candidates.Count && _tried.Count >= MaxModels) return null;
            ModelEntry? entry = i < candidates.Count ? candidates[i]
                : models.Resolve(i < candidates.Count + fallbacks.Count ? fallbacks[i - candidates.Count] : First.Fallbacks[i - candidates.Count - fallbacks.Count]);
            if (entry is null || _tried.Exists(t => t.Id == entry.Id)) continue;
            _tried.Add(entry);
            return entry;
        }
        return null;
    }

    public int Attempts { get; set; }

    /// <summary>Whether the last failure may be mended by another attempt at the same model.</summary>
    public bool Retry { get; private set; }

    /// <summary>The pause that the provider asked for with the last failure.</summary>
    public TimeSpan? RetryAfter { get; private set; }

    /// <summary>A refusal that is the client's to see if no fallback serves.</summary>
    public ModelExchange? Refused { get; set; }

    /// <summary>An attempt failed without a status. Returns the error code for its record.</summary>
    public string Fail(UpstreamException e)
    {
        bool timeout = e.Failure is UpstreamFailure.ConnectTimeout or UpstreamFailure.FirstByteTimeout or UpstreamFailure.ChunkTimeout or UpstreamFailure.TotalTimeout;
        // A total timeout has used up the client's patience; everything else deserves another try.
        Retry = e.Failure != UpstreamFailure.TotalTimeout;
        RetryAfter = null;
        _failure = timeout
            ? new ModelException(504, ErrorCodes.ProviderTimeout, e.Message, e)
            : new ModelException(502, ErrorCodes.ProviderError, e.Failure == UpstreamFailure.InvalidResponse ? "The provider's answer could not be understood." : "The provider could not be reached.", e);
        return _failure.Code;
    }

    /// <summary>The provider refused.</summary>
    public void Fail(ProviderRefusal refusal, bool retry)
    {
        Retry = retry;
        RetryAfter = refusal.RetryAfter;
        _failure = refusal.Kind switch
        {
            RefusalKind.Pause => new ModelException(429, ErrorCodes.RateLimitExceeded, "The provider's rate limit is used up.") { RetryAfter = refusal.RetryAfter },
            RefusalKind.Deployment => new ModelException(502, ErrorCodes.ProviderError, $"The provider refused this platform's credentials (status {refusal.Status})."),
            _ => new ModelException(refusal.Status == 503 ? 503 : 502, ErrorCodes.ProviderError, $"The provider failed with status {refusal.Status}.") { RetryAfter = refusal.RetryAfter },
        };
    }

    /// <summary>Every deployment of a model is cooling down or has an open circuit.</summary>
    /// <param name="model">Id of the model.</param>
    /// <param name="paused">All of them pause because the provider asked for it: its rate limit is the reason, not a fault.</param>
    /// <param name="next">Until the first of them may be tried again.</param>
    public void NoneHealthy(string model, bool paused, TimeSpan next)
    {
        TimeSpan retryAfter = next > TimeSpan.FromSeconds(1) ? next : TimeSpan.FromSeconds(1);
        _failure ??= paused
            ? new ModelException(429, ErrorCodes.RateLimitExceeded, $"The provider's rate limit for '{model}' is used up.") { RetryAfter = retryAfter }
            : new ModelException(503, ErrorCodes.ProviderUnavailable, $"All deployments of '{model}' are out of service for the moment.") { RetryAfter = retryAfter };
    }

    public ModelException Failure() => _failure ?? new ModelException(503, ErrorCodes.ProviderUnavailable, "No model could be reached.");
}
