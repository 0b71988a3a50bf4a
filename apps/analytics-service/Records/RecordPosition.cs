using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;

namespace MultiAgent.Analytics.Records;

/// <summary>Where a record stands in the list.</summary>
internal readonly record struct RecordPosition(long At, string Id)
{
    public static RecordPosition Of(DateTimeOffset at, string id) => new(at.ToUnixTimeMilliseconds(), id);

    /// <summary>From a cursor.</summary>
    /// <exception cref="ApiException">400: it is not one of this list.</exception>
    public static RecordPosition? Parse(string? cursor)
    {
        if (cursor is null) return null;
        int bar = cursor.IndexOf('|');
        return bar > 0 && long.TryParse(cursor.AsSpan(0, bar), out long at) && at >= DateTimeOffset.MinValue.ToUnixTimeMilliseconds() && at <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()
            ? new RecordPosition(at, cursor[(bar + 1)..])
            : throw new ApiException(400, ErrorCodes.ValidationFailed, "'cursor' is not a cursor of this list.", "cursor");
    }

    public override string ToString() => $"{At}|{Id}";
}
