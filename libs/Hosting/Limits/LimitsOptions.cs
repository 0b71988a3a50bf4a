using Microsoft.Extensions.Options;
using MultiAgent.Contracts.Identity;

namespace MultiAgent.Hosting.Limits;

/// <summary>Section <c>Limits</c>: the bounds of requests. Tenants and keys may have tighter or wider ones.</summary>
public sealed class LimitsOptions
{
    /// <summary>Requests per minute and tenant, sustained. Default 6 000; at least 1.</summary>
    public int RequestsPerMinute { get; set; } = 6_000;

    /// <summary>Requests that may come at once on top of the sustained rate (size of the bucket). Default 1 000; at least 1.</summary>
    public int Burst { get; set; } = 1_000;

    /// <summary>Runs that a tenant may have active at once. Default 200; at least 1.</summary>
    public int ConcurrentRuns { get; set; } = 200;

    /// <summary>Requests in progress in this process, of all tenants, above which new ones get 503. Default 4 096; at least 1.</summary>
    public int MaxInFlightRequests { get; set; } = 4_096;

    /// <summary>Largest request body in bytes. Default 20 971 520 (20 MiB, for images); at least 1 024.</summary>
    public long MaxBodyBytes { get; set; } = 20 * 1024 * 1024;

    /// <summary>Largest sum of request headers in bytes. Default 32 768.</summary>
    public int MaxHeaderBytes { get; set; } = 32 * 1024;

    /// <summary>Deepest nesting of JSON in a request. Default 64; 4 to 1 000.</summary>
    public int MaxJsonDepth { get; set; } = 64;

    /// <summary>Seconds that the headers of a request may take to arrive. Default 15.</summary>
    public int HeaderTimeoutSeconds { get; set; } = 15;

    /// <summary>Seconds that an API request other than a stream may take. Default 100. Model calls have limits of their own.</summary>
    public int RequestTimeoutSeconds { get; set; } = 100;

    /// <summary>
    /// Seconds between the moment in which a stopping instance says that it is not ready and the one in which it takes no more connections: the
    /// time that load balancers need to notice. Default 0, for a laptop; 0 to 300.
    /// </summary>
    public int DrainDelaySeconds { get; set; }

    /// <summary>The tenant's sustained rate and the size of its bucket.</summary>
    internal (int PerMinute, int Burst) RateOf(Caller caller)
    {
        int perMinute = caller.Limits?.RequestsPerMinute ?? RequestsPerMinute;
        return (perMinute, caller.Limits?.Burst ?? Math.Min(Burst, Math.Max(1, perMinute)));
    }

    /// <summary>The size of a key's own bucket in a tenant with the bucket <paramref name="tenantBurst"/>.</summary>
    internal static int KeyBurst(KeyLimits limits, int tenantBurst) => limits.Burst ?? Math.Max(1, Math.Min(tenantBurst, limits.RequestsPerMinute ?? 1));
}

internal sealed class LimitsValidator : IValidateOptions<LimitsOptions>
{
    public ValidateOptionsResult Validate(string? name, LimitsOptions options)
    {
        var errors = new List<string>();
        AtLeast(options.RequestsPerMinute, 1, nameof(options.RequestsPerMinute));
        AtLeast(options.Burst, 1, nameof(options.Burst));
        AtLeast(options.ConcurrentRuns, 1, nameof(options.ConcurrentRuns));
        AtLeast(options.MaxInFlightRequests, 1, nameof(options.MaxInFlightRequests));
        AtLeast(options.MaxBodyBytes, 1024, nameof(options.MaxBodyBytes));
        AtLeast(options.MaxHeaderBytes, 1024, nameof(options.MaxHeaderBytes));
        AtLeast(options.HeaderTimeoutSeconds, 1, nameof(options.HeaderTimeoutSeconds));
        AtLeast(options.RequestTimeoutSeconds, 1, nameof(options.RequestTimeoutSeconds));
        if (options.DrainDelaySeconds is < 0 or > 300) errors.Add($"Limits:DrainDelaySeconds is {options.DrainDelaySeconds}; set it between 0 and 300.");
        if (options.MaxJsonDepth is < 4 or > 1000) errors.Add($"Limits:MaxJsonDepth is {options.MaxJsonDepth}; set it between 4 and 1000.");
        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);

        void AtLeast(long value, long least, string key)
        {
            if (value < least) errors.Add($"Limits:{key} is {value}; set it to {least} or more.");
        }
    }
}
