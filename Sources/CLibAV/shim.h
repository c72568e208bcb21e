#pragma once
#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

// Macros that do not import into Swift.
static const int clibav_error_eof = AVERROR_EOF;
static const int clibav_error_permission = AVERROR(EPERM);
static const int clibav_error_again = AVERROR(EAGAIN);
static const int clibav_error_memory = AVERROR(ENOMEM);
static const int clibav_error_too_large = AVERROR(EFBIG);
static const int clibav_error_damaged = AVERROR_INVALIDDATA;
static const int64_t clibav_no_pts = AV_NOPTS_VALUE;
static const int clibav_seek_size = AVSEEK_SIZE;
static const int clibav_seek_force = AVSEEK_FORCE;
static const uint32_t clibav_tag_encv = MKTAG('e', 'n', 'c', 'v');
static const uint32_t clibav_tag_enca = MKTAG('e', 'n', 'c', 'a');
static const uint32_t clibav_tag_hvc1 = MKTAG('h', 'v', 'c', '1');
