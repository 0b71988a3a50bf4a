namespace MultiAgent.Messaging;

/// <summary>Section <c>Messaging</c>.</summary>
public sealed class MessagingOptions
{
    /// <summary>Minutes that an event stays in the log after every consumer has it; also the window of de-duplication. Default 60; at least 2.</summary>
    public int RetentionMinutes { get; set; } = 60;

    /// <summary>Deliveries of one event to one consumer before it becomes a dead letter. Default 6; at least 1.</summary>
    public int MaxDeliveries { get; set; } = 6;

    /// <summary>First wait before an event is delivered again, milliseconds; doubles each time up to 30 s. Default 200.</summary>
    public int RetryMilliseconds { get; set; } = 200;

    /// <summary>Size of each of the spool's two areas, MiB. Default 16; 1 to 1 024.</summary>
    public int SpoolMegabytes { get; set; } = 16;
}
